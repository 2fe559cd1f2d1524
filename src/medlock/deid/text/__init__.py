"""Free text without identifiers: rules, dictionaries, a small model, and the sweep for what the record knows."""
