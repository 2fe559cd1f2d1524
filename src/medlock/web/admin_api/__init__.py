"""Administration over HTTPS, for people of the role security-admin: JSON, no pages, no patient data."""
