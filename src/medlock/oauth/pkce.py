"""Proof Key for Code Exchange (RFC 7636), with S256 and nothing else."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest

from medlock.errors import OAuthRefused

METHOD = "S256"
_CHALLENGE = re.compile(r"[A-Za-z0-9_\-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~\-]{43,128}")


def check_challenge(challenge: str, method: str, *, optional: bool) -> None:
    """Return when a request may go on with this challenge. Raises OAuthRefused.

    `optional`: the client may do without one, because an administrator let it; a challenge that it sends holds all the
    same. A missing method means `plain` (RFC 7636 §4.3), and is refused as such.
    """
    if not challenge and not method and optional:
        return
    if method != METHOD or _CHALLENGE.fullmatch(challenge) is None:
        raise OAuthRefused("invalid_request", "Send a code_challenge with code_challenge_method=S256.")


def check_verifier(challenge: str, verifier: str) -> None:
    """Return when the verifier is the one behind the challenge. Raises OAuthRefused (invalid_grant).

    Who sent no challenge must send no verifier: somebody may have taken the challenge out (RFC 9700 §2.1.1).
    """
    if not challenge and not verifier:
        return
    right = _VERIFIER.fullmatch(verifier) is not None and compare_digest(challenge_of(verifier), challenge)
    if not right:
        raise OAuthRefused("invalid_grant", "The code is not valid.", reason="the code_verifier does not fit")


def challenge_of(verifier: str) -> str:
    """BASE64URL(SHA-256(verifier)), without padding (RFC 7636 §4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
