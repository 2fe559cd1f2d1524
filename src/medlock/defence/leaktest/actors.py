"""Who tries: each actor has a token, and a rule that says which records of the family it may see.

The rule is the tester's own, told apart from the server's: what a server lets out beyond it is a leak.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from medlock.defence.leaktest.family import RECORDS, Record
from medlock.errors import BadRequest

ALL = "*"
_WORD = re.compile(r"zq[b-z]{10}")


@dataclass(frozen=True, slots=True)
class Sees:
    """A record is seen when one of its people is in `people` and its type in `types`; shared ones by `shared`."""

    people: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset({ALL})
    shared: bool = False

    def covers(self, record: Record) -> bool:
        """Whether this record may be seen."""
        if not record.owners:
            return self.shared
        of_whom = ALL in self.people or not self.people.isdisjoint(record.owners)
        return of_whom and (ALL in self.types or record.type in self.types)


@dataclass(frozen=True, slots=True)
class Needed:
    """What an actor's token must be, in words that a person can make it from; `person` is whose it is, if anybody's.

    `log`: it may read the audit log, which names every record by its address.
    """

    name: str
    role: str
    scopes: str
    sees: Sees
    person: str = ""
    says: str = ""
    log: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who tries, with a token."""

    needed: Needed
    token: str

    @property
    def name(self) -> str:
        """As findings name it."""
        return self.needed.name

    def hidden(self) -> list[Record]:
        """The records it may not see."""
        return [record for record in RECORDS if not self.needed.sees.covers(record)]

    def secrets(self) -> frozenset[str]:
        """Words that give a hidden record away, and stand in none that may be seen."""
        return _words(self.hidden()) - _words(self._seen())

    def addresses(self) -> frozenset[str]:
        """Addresses of hidden records that no visible one refers to."""
        if self.needed.log:
            return frozenset()
        told = " ".join(str(record.body) for record in self._seen())
        return frozenset(record.address for record in self.hidden() if f"'{record.address}'" not in told)

    def types_about(self, record: Record) -> frozenset[str]:
        """The types of visible records that refer to a hidden one: who may see them knows that it is there."""
        return frozenset(seen.type for seen in self._seen() if f"'{record.address}'" in str(seen.body))

    def _seen(self) -> list[Record]:
        return [record for record in RECORDS if self.needed.sees.covers(record)]


def _words(records: list[Record]) -> frozenset[str]:
    return frozenset(word for record in records for word in _WORD.findall(str(record.body)))


def words_in(text: str) -> frozenset[str]:
    """Every canary in a text, whoever's it is."""
    return frozenset(_WORD.findall(text))


_DESK = frozenset({"Patient", "Appointment", "Coverage"})
NEEDED: tuple[Needed, ...] = (
    Needed("nobody", "", "", Sees(), says="sends no token"),
    Needed("ben", "patient", "patient/*.rs", Sees(frozenset({"ben"}), shared=True), "ben", "Ann's husband"),
    Needed(
        "ben-labs",
        "patient",
        "patient/Observation.rs",
        Sees(frozenset({"ben"}), frozenset({"Observation"})),
        "ben",
        "an app that Ben lets see his laboratory values",
    ),
    Needed("dot", "patient", "patient/*.rs", Sees(frozenset({"dot"}), shared=True), "dot", "a stranger"),
    Needed("desk", "front-desk", "user/*.crus", Sees(frozenset({ALL}), _DESK, shared=True), says="the front desk"),
    Needed("privacy", "privacy-officer", "user/AuditEvent.rs", Sees(), says="the privacy officer", log=True),
    Needed("security", "security-admin", "user/*.cruds", Sees(), says="who runs the machine"),
    Needed("research", "researcher", "user/*.rs", Sees(), says="a researcher, who gets de-identified data only"),
)
WRITER = Needed("writer", "backend", "system/*.cruds", Sees(frozenset({ALL}), shared=True), says="writes the family")


def actors(tokens: dict[str, str]) -> list[Actor]:
    """The actors for whom there is a token. Raises BadRequest when a name is unknown."""
    known = {needed.name: needed for needed in NEEDED}
    unknown = set(tokens) - set(known) - {WRITER.name}
    if unknown:
        raise BadRequest(f"There is no actor {min(unknown)}; medlock leaktest --actors lists them.")
    found = [Actor(known["nobody"], "")]
    return found + [Actor(known[name], token) for name, token in tokens.items() if name != WRITER.name]
