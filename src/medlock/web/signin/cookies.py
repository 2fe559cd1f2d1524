"""Cookies of the pages: which there are, how they are read, how they are set (RFC 6265bis, ASVS 5.0 V3.3).

All have the `__Host-` prefix: only this host can set them, only over TLS, for every path, so no neighbouring subdomain
can plant one. A name that comes twice is taken as not there: two readers might read two values. Scripts see none.

SESSION   the secret of the session; SameSite Lax, for administrators Strict
BROWSER   random: what offers and challenges are bound to, and forms before anybody is signed in
PENDING   the secret of a sign-in of which the second factor is missing
DEVICE    says that somebody signed in on this device before: its own budget of wrong guesses; a year
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

SESSION = "__Host-medlock-session"
BROWSER = "__Host-medlock-browser"
PENDING = "__Host-medlock-pending"
DEVICE = "__Host-medlock-device"

_DEVICE_SECONDS = 365 * 86_400
_VALUE = re.compile(r"[A-Za-z0-9_.~-]{16,256}")


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie to set; an empty value takes it away."""

    name: str
    value: str
    strict: bool = False

    def header(self) -> str:
        """The value of Set-Cookie."""
        kind = "Strict" if self.strict or self.name == PENDING else "Lax"
        age = "; Max-Age=0" if not self.value else f"; Max-Age={_DEVICE_SECONDS}" if self.name == DEVICE else ""
        return f"{self.name}={self.value}; Path=/; Secure; HttpOnly; SameSite={kind}{age}"


def read_cookies(header: str) -> dict[str, str]:
    """Our cookies in a Cookie header; what is not in our alphabet, or comes twice, is not there."""
    pairs = [pair.strip().partition("=")[::2] for pair in header.split(";")]
    times = Counter(name for name, _ in pairs)
    ours = {SESSION, BROWSER, PENDING, DEVICE}
    return {name: value for name, value in pairs if name in ours and times[name] == 1 and _VALUE.fullmatch(value)}
