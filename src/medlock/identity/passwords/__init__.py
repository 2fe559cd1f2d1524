"""Which passwords are good enough: profiles, rules with their clauses, the blocklist, advice."""
