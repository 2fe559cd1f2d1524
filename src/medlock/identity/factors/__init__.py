"""What proves an account's owner: password, one-time code, passkey, recovery code. All have the shape in `shape.py`."""
