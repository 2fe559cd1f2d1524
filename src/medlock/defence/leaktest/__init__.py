"""`medlock leaktest`: hundreds of attempts to learn of records that one may not see, against any FHIR server."""
