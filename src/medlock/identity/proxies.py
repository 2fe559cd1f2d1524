"""Standing in for a patient, as people say it: days and references become the row of an account."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from medlock.errors import BadRequest
from medlock.identity.account import Proxy

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RELATED = re.compile(r"RelatedPerson/[A-Za-z0-9\-.]{1,64}")


def proxy_of(patient: str, related: str, days: tuple[str, str], now_ms: int, by: str) -> Proxy:
    """A proxy from its first day to the end of its last one; `by` who saw the papers, "" when nobody did.

    Raises BadRequest.
    """
    if _ID.fullmatch(patient) is None or _RELATED.fullmatch(related) is None:
        raise BadRequest("Whom they stand in for is a Patient's id, and the papers' record is RelatedPerson/id.")
    since = _day(days[0]) if days[0] else now_ms
    until = _day(days[1], after=1) if days[1] else 0
    if until and until <= since:
        raise BadRequest("The last day comes before the first one.")
    return Proxy(patient, related, since, until, now_ms if by else 0, by)


def _day(text: str, after: int = 0) -> int:
    """The first moment of a day (UTC), or of one so many days after it, in ms. Raises BadRequest."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=after)
    except (ValueError, OverflowError):
        raise BadRequest("A day is written YYYY-MM-DD.") from None
    return int(day.timestamp() * 1000)
