"""De-identification under a preset: what the command, `$export` and the DARTS operations call.

`Deidentifier` holds what is compiled for one preset and project; `deidentify` is the same in one call. Both are pure:
today's date, keys and the engine that cleans prose are handed in, and the resource that comes in is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Any, Final

from medlock.deid.fhir.cleaning import Cleaning
from medlock.deid.fhir.days import moved
from medlock.deid.fhir.guards import Guard
from medlock.deid.fhir.known import Collector
from medlock.deid.fhir.methods import treatment_of
from medlock.deid.fhir.partial_dates import year_of
from medlock.deid.fhir.profile import Dates, Profile
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.deid.fhir.rules import Parameters
from medlock.deid.fhir.run import Run
from medlock.deid.fhir.subject import Subject
from medlock.deid.fhir.text import Known, TextCleaner, TextTask
from medlock.deid.fhir.walk import Compiler
from medlock.deid.fhir.whose import entries_of, patient_of, patients_in

Json = dict[str, Any]
_REMEMBERED: Final = 1_000  # patients whose identifiers are kept at hand


Records = Callable[[str], tuple[Json, ...]]  # patient id → resources that say who that is


def _nobody(_patient: str) -> tuple[Json, ...]:
    """Nothing is known beyond what is passed in."""
    return ()


@dataclass
class Deidentifier:
    """One preset under one project key, compiled when first used.

    `offsets` maps patient ids to days, for shifts that were drawn elsewhere. `cleaner` reads prose; without it prose
    is dropped. `records` gives what other files say about who a patient is.
    """

    profile: Profile
    key: bytes = field(repr=False)
    cleaner: TextCleaner | None = None
    offsets: Mapping[str, int] = field(default_factory=dict, repr=False)
    records: Records = field(default=_nobody, repr=False)
    _known: dict[str, tuple[Known, ...]] = field(default_factory=dict, repr=False)
    _common: tuple[tuple[Json, ...], tuple[Known, ...]] = field(default=((), ()), repr=False)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """The pseudonyms of the project. Raises BadRequest for a key that is none."""
        return Pseudonyms(self.key)

    @cached_property
    def _compiler(self) -> Compiler:
        rules = self.profile.rules
        treatments = [treatment_of(rank, rule, Parameters(), self.key) for rank, rule in enumerate(rules)]
        return Compiler(rules, treatments, Guard(self.profile, self.pseudonyms), absent=True)

    def days(self, patient: str) -> int:
        """How far a patient's dates move; nowhere where the preset keeps or cuts them."""
        if self.profile.dates is not Dates.SHIFT:
            return 0
        given = self.offsets.get(patient)
        return self.pseudonyms.days(patient, weeks=self.profile.weeks) if given is None else given

    def subject(self, patient: str, today: date, record: tuple[Json, ...] = ()) -> Subject:
        """A patient, with what the resources of `record` and `records` say about who that is."""
        days = self.days(patient)
        if self.cleaner is None:
            return Subject(patient, days)
        collector = Collector(self.profile, self.pseudonyms)
        if patient not in self._known:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            self._known[patient] = self._collected(collector, self.records(patient))
        base = self._known[patient]
        task = TextTask(tuple(dict.fromkeys((*collector.collect(record), *base))), self._redating(days, today), base)
        return Subject(patient, days, Cleaning(self.cleaner, task, self.pseudonyms.id))

    def _collected(self, collector: Collector, record: tuple[Json, ...]) -> tuple[Known, ...]:
        """What resources say; collected once while `records` gives the same tuple for patient after patient."""
        if self._common[0] is not record:
            self._common = record, collector.collect(record)
        return self._common[1]

    def _redating(self, days: int, today: date) -> Callable[[str], str | None]:
        """What becomes of a date in prose: the same as in a resource."""
        if self.profile.dates is Dates.YEAR:
            return lambda text: year_of(text, today)
        return (lambda text: moved(text, days)) if self.profile.dates is Dates.SHIFT else (lambda text: text)

    def apply(self, resource: Json, today: date, subject: Subject | None = None) -> Json:
        """The resource, de-identified; of a Bundle every entry, each moved with the patient it belongs to.

        Raises Unprocessable for what is no FHIR R4 resource.
        """
        inside = _resources(resource)
        run = Run(today, subject or self.subject(patient_of(resource, {}), today, inside))
        if resource.get("resourceType") == "Bundle":
            run.whose = self._owners(resource, today, run.subject, given=subject is not None)
        return self._compiler.outermost(resource, run)

    def _owners(self, bundle: Json, today: date, first: Subject, *, given: bool) -> Callable[[Json], Subject]:
        """Who owns each entry: `first`, when it was given; else the patient it names.

        With one patient in the Bundle, what names nobody moves with that patient.
        """
        known = patients_in(bundle)
        record = _resources(bundle)
        alone = next(iter(known.values())) if len(set(known.values())) == 1 else ""
        subjects: dict[str, Subject] = {first.id: first}

        def whose(resource: Json) -> Subject:
            patient = patient_of(resource, known) or alone
            if patient not in subjects:
                subjects[patient] = first if given else self.subject(patient, today, record)
            return subjects[patient]

        return whose


def _resources(resource: Json) -> tuple[Json, ...]:
    """A resource alone, or what is in a Bundle: all that is known of those it is about."""
    inside = tuple(inner for _, inner in entries_of(resource))
    return inside or (resource,)


@lru_cache(maxsize=8)
def _made(profile: Profile, key: bytes) -> Deidentifier:
    return Deidentifier(profile, key)


def deidentify(resource: Json, profile: Profile, project_key: bytes, patient: str, *, today: date) -> Json:
    """One resource, or a Bundle, under a preset, as part of the record of `patient` ("" to read it from the resource).

    Raises Unprocessable for what is no FHIR R4 resource, BadRequest for a key that is not 32 bytes.
    """
    made = _made(profile, project_key)
    return made.apply(resource, today, made.subject(patient, today) if patient else None)
