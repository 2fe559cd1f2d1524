"""Range: a part of a content (RFC 9110 §14.2). One range of bytes is given; what else the header says is passed over.

Passed over as well when If-Range is there: it needs a strong validator, and a version of a resource is a weak one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from medlock.errors import RangeNotSatisfiable

_ONE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")


def span_of(headers: Mapping[bytes, bytes], size: int) -> tuple[int, int] | None:
    """The bytes asked for, first and one after the last; None for all. Raises RangeNotSatisfiable."""
    asked = _ONE.fullmatch(headers.get(b"range", b"").strip())
    if asked is None or b"if-range" in headers or asked.group() == b"bytes=-":
        return None
    first, last = asked.groups()
    if not first:  # the last so many
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), size if not last else min(size, int(last) + 1)
        if last and int(last) < int(first):
            return None
    if start >= size or start >= stop:
        raise RangeNotSatisfiable(size)
    return start, stop
