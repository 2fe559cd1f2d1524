"""De-identification: tables, FHIR resources and text, each usable by itself."""
