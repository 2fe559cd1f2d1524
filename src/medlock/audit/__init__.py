"""The log of who came in: append-only, Merkle-hashed, two sealed copies of each event. docs/spec/audit.md."""
