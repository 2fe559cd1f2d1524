"""The patient's consent (FHIR R4 Consent, IHE PCF) as a decision: pure. docs/consent.md is its meaning in words."""
