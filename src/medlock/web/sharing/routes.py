"""Addresses of sharing, with what each declares. The one for links is public: whoever opens one has no account."""

from __future__ import annotations

from medlock.web.declared import Cors, Declared, Permission, Rate

BODY_BYTES = 64 * 1024


def _own(path: str, *methods: str) -> Declared:
    """For a patient's own token."""
    return Declared(path, methods, Permission.TOKEN, Rate.API, body=BODY_BYTES, cors=Cors.REGISTERED)


SHARING = _own("/sharing", "GET", "POST")
LINKS = _own("/share-links", "POST")
SHARE = _own("/sharing/{id}", "DELETE")
RECEIPT = _own("/sharing/{id}/receipt", "GET")
MANIFEST = Declared("/shl/{name}", ("POST",), Permission.PUBLIC, Rate.LOGIN, body=BODY_BYTES, cors=Cors.ANY)
FILE = Declared("/shl/{name}/{ticket}", ("GET",), Permission.PUBLIC, Rate.LOGIN, cors=Cors.ANY)

DECLARED: tuple[Declared, ...] = (SHARING, LINKS, SHARE, RECEIPT, MANIFEST, FILE)
