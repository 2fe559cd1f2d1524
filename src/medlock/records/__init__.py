"""The door: the one way in to patient data. docs/design.md walks through it."""
