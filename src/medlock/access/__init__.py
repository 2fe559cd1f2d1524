"""Who may do what: principals, scopes, roles and the one decision. Pure: no clock, no I/O."""
