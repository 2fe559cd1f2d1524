"""The known-identifier sweep: nothing that the record knows of these people survives, however it is spelled.

No detector can promise that; a server that holds the record can. Each kind of identifier is brought into a form in
which spellings fall together, the text likewise, and what meets is removed: names by folded words within one typo
(sweep_names), numbers, phones and e-mails by their letters and digits alone (sweep_codes), dates by the day they mean
(here), addresses by their words in a row (sweep_names). A find names the identifier by its field and position
("known:names[0]"), never by its value.
"""

from __future__ import annotations

from collections.abc import Iterator

from medlock.deid.text.dates import DateMatch, read_dates
from medlock.deid.text.known import Known
from medlock.deid.text.spans import Kind, Span
from medlock.deid.text.sweep_codes import Codes
from medlock.deid.text.sweep_names import Names


class Sweep:
    """The record's identifiers, made ready once; `find` is then linear in the text."""

    def __init__(self, known: Known) -> None:
        self._names = Names(known)
        self._codes = Codes(known)
        self._dates = [(_parts(value), f"known:dates[{at}]") for at, value in enumerate(known.dates)]

    def find(self, text: str) -> Iterator[Span]:
        """Every place where a known identifier stands. Finds may overlap; all have confidence 1."""
        yield from self._names.find(text)
        yield from self._codes.find(text)
        if self._dates:
            for match in read_dates(text):
                for known, source in self._dates:
                    if _same(match, known):
                        yield Span(match.start, match.end, Kind.DATE, 1.0, source, text[match.start : match.end])
                        break


def _parts(value: str) -> tuple[int, ...]:
    """Year, month and day of an ISO 8601 date, as many as there are."""
    return tuple(int(part) for part in value[:10].split("-") if part.isdigit())


def _same(match: DateMatch, known: tuple[int, ...]) -> bool:
    """Whether a date in the text can mean the known one: what both say agrees, in either order of day and month."""
    if match.year is not None and known[:1] and match.year % 100 != known[0] % 100:
        return False
    said = (match.month, match.day)
    if said == (None, None) or len(known) < 2:
        return match.year is not None and match.month is None
    day = known[2] if len(known) > 2 else None
    readings = [(match.month, match.day), (match.day, match.month)]
    return any((one is None or one == known[1]) and (two is None or day is None or two == day) for one, two in readings)
