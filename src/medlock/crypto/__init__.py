"""Primitives with one meaning each; pure functions of their arguments. Nothing else imports `cryptography`."""
