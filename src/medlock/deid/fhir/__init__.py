"""De-identification of FHIR R4 resources: rules compiled per type, presets, keyed dates and pseudonyms, clean text."""
