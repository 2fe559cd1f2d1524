"""How much a caller may ask: quotas by account, client, patient and address, shared by all workers."""
