"""Sealed tables: what lies on disk is key → ciphertext, nothing else. docs/spec/store.md is the format."""
