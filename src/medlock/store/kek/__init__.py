"""Key providers: where the keys that wrap epoch keys come from. `provider` is the port, the rest fill it."""
