"""Vendors and what leaves for them; so far the one client for outbound connections."""
