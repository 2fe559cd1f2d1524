"""Backups of the sealed rows, and a store made from them again. docs/spec/backup.md is the format."""
