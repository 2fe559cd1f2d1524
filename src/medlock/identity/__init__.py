"""Who you are: accounts, their factors, sessions."""
