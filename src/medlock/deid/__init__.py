"""De-identification: tables, FHIR resources, text."""
