"""The authorization server over HTTP: RFC 6749 and its kin in JSON, no pages."""
