"""Security labels: which resources are sensitive, by the codes in them (HL7 DS4P). Pure. docs/labels.md."""
