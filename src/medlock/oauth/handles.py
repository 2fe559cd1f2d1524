"""The strings that name an approval and prove the right to it: authorization codes and refresh tokens.

    code            approval "." secret                 secret: 256 random bits, kept as a digest in the approval
    refresh token   approval "." secret "." mac         mac: PRF(approval, secret), 128 bits

The mac tells a refresh token that this server once issued from one that somebody made up, without a list of all that
were ever issued: only the use of a real one, replaced long ago, ends its family (RFC 9700 §4.14.2). Whoever merely
knows the name of an approval can end nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from medlock.crypto.prf import Prf
from medlock.ids import random_bytes
from medlock.ids import secret as new_secret

_BYTES = 12
_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Named:
    """What a code or refresh token says: whose, and the digest of its secret. `issued`: its mac is ours."""

    approval: str
    digest: bytes
    issued: bool = False


def new_name() -> str:
    """A name for an approval, or for anything else that is looked up and proves nothing: 96 random bits."""
    return urlsafe_b64encode(random_bytes(_BYTES)).decode().replace("_", "x").replace("-", "y")


def new_code(approval: str) -> tuple[str, bytes]:
    """An authorization code and its digest."""
    secret = new_secret()
    return f"{approval}.{secret}", sha256(secret.encode()).digest()


def new_refresh(prf: Prf, approval: str) -> tuple[str, bytes]:
    """A refresh token and its digest."""
    secret = new_secret()
    return f"{approval}.{secret}.{_mac(prf, approval, secret)}", sha256(secret.encode()).digest()


def read_code(code: str) -> Named | None:
    """What a code says; None when it has not the form of one."""
    parts = code.split(".") if len(code) <= _LENGTH_MAX and code.isascii() else []
    return Named(parts[0], sha256(parts[1].encode()).digest()) if len(parts) == 2 else None


def read_refresh(prf: Prf, token: str) -> Named | None:
    """What a refresh token says; None when it has not the form of one."""
    parts = token.split(".") if len(token) <= _LENGTH_MAX and token.isascii() else []
    if len(parts) != 3:
        return None
    approval, secret, mac = parts
    issued = compare_digest(mac, _mac(prf, approval, secret))
    return Named(approval, sha256(secret.encode()).digest(), issued)


def _mac(prf: Prf, approval: str, secret: str) -> str:
    return urlsafe_b64encode(prf.digest(f"refresh-token|{approval}|{secret}".encode())).rstrip(b"=").decode()
