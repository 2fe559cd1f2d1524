"""Defence: what medlock does to find its own faults, and those of others."""
