"""A consent, a request and a resource as the engine sees them: frozen, in canonical form, nothing left to parse."""

from __future__ import annotations

import msgspec

from medlock.access.consent.codes import Labels
from medlock.fhir.dates import Interval

NOBODY: frozenset[str] = frozenset()


class Datum(msgspec.Struct, frozen=True):
    """`provision.data`: a reference and what it stands for (instance, related, dependents, authoredby)."""

    meaning: str
    reference: str


class Provision(msgspec.Struct, frozen=True):
    """One rule of a consent. An element that is None is absent: it says nothing, and asks for nothing.

    `period` and `data_period` are [low, high) in ms. `levels` and `sensitivities` are its security labels.
    """

    deny: bool
    path: str
    period: Interval | None = None
    actors: frozenset[str] | None = None
    purposes: frozenset[str] | None = None
    actions: frozenset[str] | None = None
    classes: frozenset[str] | None = None
    codes: frozenset[str] | None = None
    data_period: Interval | None = None
    data: frozenset[Datum] | None = None
    levels: frozenset[int] | None = None
    sensitivities: frozenset[str] | None = None
    children: tuple[Provision, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether it speaks of security labels."""
        return self.levels is not None or self.sensitivities is not None


class Consent(msgspec.Struct, frozen=True):
    """One active consent of one patient. `research`: its scope is research, so it speaks of research only.

    `broken` says why it cannot be evaluated: then it denies everything, whatever it meant.
    """

    id: str
    patient: str
    root: Provision
    research: bool = False
    broken: str = ""

    @property
    def reference(self) -> str:
        """`Consent/id`."""
        return f"Consent/{self.id}"


class Ask(msgspec.Struct, frozen=True):
    """The request: who, for what, to do what, when.

    actors           every reference that the asking person or program answers to: themselves, their role, teams,
                     groups, organisations, the client's device
    purposes         as declared; none is unknown
    own              ids of patients whom the caller is, or lawfully represents
    may_break_glass  whether the role may declare an emergency: without it, BTG opens nothing
    clinical         whether a clinician asks
    records_consents whether it is the caller's task to write down what patients decided
    """

    actors: frozenset[str] = NOBODY
    purposes: frozenset[str] = NOBODY
    action: str = "access"
    now: int = 0
    own: frozenset[str] = NOBODY
    may_break_glass: bool = False
    clinical: bool = False
    records_consents: bool = False


class Facts(msgspec.Struct, frozen=True):
    """A resource. None is unknown: not labelled yet, no author named, no date given.

    codes      what it is about: its main code. `any_codes` are all codings found anywhere in it
    authored   when its content came to be, [low, high) in ms; `updated` when it was last written here
    references every local reference in it
    """

    type: str
    id: str = ""
    labels: Labels | None = None
    profiles: frozenset[str] = NOBODY
    codes: frozenset[str] = NOBODY
    any_codes: frozenset[str] = NOBODY
    authored: Interval | None = None
    updated: int | None = None
    authors: frozenset[str] | None = None
    references: frozenset[str] = NOBODY

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


class Decision(msgspec.Struct, frozen=True):
    """Yes or no, and why.

    layer   self, explicit (a provision said so), outside (a permit names other data), default (the site's policy)
    rules   the provisions that decided, "Consent/1 provision.provision[0]"
    """

    permit: bool
    layer: str
    rules: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()
