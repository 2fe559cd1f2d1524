"""Sharing over HTTP: the patient's own rules and links, and the opening of a link. docs/sharing.md."""
