"""FHIR R4 (4.0.1) as pure functions: parse, validate, search grammar, extraction, bundles. No I/O."""
