"""What stands around the site beside the door: limits, whose address counts, whose scripts may read."""

from __future__ import annotations

from dataclasses import dataclass

from medlock.web.cors import NOBODYS, Origins
from medlock.web.limits.limiter import UNLIMITED, Limiter
from medlock.web.peer import NEAR, Peers


@dataclass(frozen=True, slots=True)
class Protection:
    """Made by app.py as the operator set it. The defaults are for parts used without a site: no limit, no origin."""

    limiter: Limiter = UNLIMITED
    peers: Peers = NEAR
    origins: Origins = NOBODYS


UNPROTECTED = Protection()
