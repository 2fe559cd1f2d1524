"""One-time codes: HOTP (RFC 4226) over 30-second steps, TOTP (RFC 6238), with SHA-1 and six digits.

SHA-1 because every authenticator app has it and several read nothing else; HMAC does not rest on what is broken in it
(RFC 6238 §1.2). The functions are pure: who accepts a code remembers the step that it was for.
"""

from __future__ import annotations

import hmac
from hmac import compare_digest

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20  # RFC 4226 §4 R6 recommends 160 bits


def hotp(secret: bytes, counter: int, digits: int = DIGITS) -> str:
    """The code for a counter (RFC 4226 §5.3)."""
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_at(now_ms: int) -> int:
    """The time step of an instant (RFC 6238 §4.2)."""
    return now_ms // (STEP_SECONDS * 1000)


def matching_step(secret: bytes, code: str, now_ms: int, after: int) -> int | None:
    """The step in the window of one before and one after now (RFC 6238 §5.2) whose code this is.

    Steps up to `after` do not count: they were used. All three are computed, whichever matches.
    """
    now, found = step_at(now_ms), None
    for step in (now - 1, now, now + 1):
        same = compare_digest(hotp(secret, step).encode(), code.encode())
        if same and step > after:
            found = step
    return found
