"""The edge: bytes from a socket become a Question and a caller's credentials, a Disclosure becomes bytes."""
