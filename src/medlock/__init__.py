"""medlock: a FHIR R4 server whose store is sealed patient by patient, behind one door."""

__version__ = "0.1.0"
