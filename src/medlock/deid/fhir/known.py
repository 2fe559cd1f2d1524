"""What a record itself says about who somebody is: the identifiers that no text of it may keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medlock.deid.fhir.profile import Profile
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.deid.fhir.text import Known, TextCleaner, TextTask

Json = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """The known identifiers of one record."""

    known: tuple[Known, ...]

    def cleaning(self, cleaner: TextCleaner, days: int) -> Callable[[str], str]:
        """A function that cleans one text of this record."""
        task = TextTask(self.known, lambda text: text)
        del days
        return lambda text: cleaner.clean(text, task)


def known_of(_record: tuple[Json, ...], _profile: Profile, _pseudonyms: Pseudonyms) -> Record:
    """The identifiers in the resources of a record."""
    return Record(())
