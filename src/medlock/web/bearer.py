"""The bearer secret in the Authorization header (RFC 6750 §2.1): the one place where a token may stand.

A token in a query string is an unknown parameter, and refused as one: addresses end up in logs and histories.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from medlock.errors import NotAuthenticated

_FORM = re.compile(rb"(?i:bearer) ([A-Za-z0-9\-._~+/]{1,512}=*)")
SENTENCE = "Send a valid token: Authorization: Bearer …"


def bearer_secret(headers: Mapping[bytes, bytes]) -> str:
    """The secret. Raises NotAuthenticated, with the same sentence as for a secret that nobody knows."""
    given = headers.get(b"authorization")
    if given is None:
        raise NotAuthenticated(SENTENCE, reason="no credentials")
    form = _FORM.fullmatch(given)
    if form is None:
        raise NotAuthenticated(SENTENCE, reason="malformed credentials")
    return form[1].decode("ascii")
