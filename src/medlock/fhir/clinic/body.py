"""One person's body: what a measurement would read on a given day, with illness and treatment as shifts over time.

Each analyte has a personal level drawn once; disorders add shifts that begin on a day, may grow by the year and
may fade with treatment. Readings are rounded as a laboratory reports them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from medlock.fhir.clinic.analytes import ANALYTES
from medlock.fhir.clinic.chance import Chance
from medlock.fhir.clinic.growth import GROWN, median
from medlock.fhir.clinic.people import Person

_YEAR = 365.25


class Shift(NamedTuple):
    """From `start` on the analyte is `amount` away from the person's own level, and `yearly` more each year.

    `halves` is the number of years of treatment after which half of `amount` is gone; 0 means it stays.
    """

    analyte: str
    amount: float
    yearly: float = 0.0
    halves: float = 0.0


class Body:
    """Readings for one person."""

    def __init__(self, person: Person, chance: Chance) -> None:
        self._person, self._chance = person, chance
        self._level: dict[str, float] = {}
        self._shifts: list[tuple[date, date | None, Shift]] = []
        self._band = 1 + chance.wobble(0.038)
        self._day = person.born
        self._readings: dict[str, float] = {}

    def shift(self, start: date, shift: Shift, end: date | None = None) -> None:
        """Let a disorder (or, until `end`, a passing illness or a pregnancy) move an analyte."""
        self._shifts.append((start, end, shift))

    def read(self, analyte: str, day: date) -> float:
        """The value a measurement reports on this day, an int where no decimals are reported; the same all day."""
        if day != self._day:
            self._day, self._readings = day, {}
        if analyte not in self._readings:
            derive = _DERIVED.get(analyte)
            value = derive(self, day) if derive else self.measured(analyte, day)
            digits = ANALYTES[analyte].digits
            low, high = _POSSIBLE.get(analyte, (0.0, 1e9))
            held = min(max(value, low), high)
            self._readings[analyte] = round(held, digits) if digits else round(held)
        return self._readings[analyte]

    def filtration(self, day: date) -> float:
        """CKD-EPI 2021 without race (Inker et al., NEJM 2021;385:1737), from the creatinine of the day."""
        female = self._person.female
        kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
        ratio = self.read("creatinine", day) / kappa
        value = float(142 * min(ratio, 1.0) ** alpha * max(ratio, 1.0) ** -1.2)
        return float(value * 0.9938 ** self._person.age(day) * (1.012 if female else 1.0))

    def measured(self, analyte: str, day: date) -> float:
        """A fresh reading with its noise, before rounding."""
        base = self._base(analyte, day)
        small = base / ANALYTES[analyte].typical if analyte in _GROWING else 1.0
        return base + self._shifted(analyte, day) + self._chance.wobble(ANALYTES[analyte].within) * small

    def _base(self, analyte: str, day: date) -> float:
        age = (day - self._person.born).days / _YEAR
        if analyte in _GROWING:
            return median(analyte, self._person.sex, age) * self._scale(analyte) + _gained(analyte, age)
        child = max(0.0, 14 - age)
        return self._personal(analyte) + _CHILDHOOD.get(analyte, 0.0) * child

    def _personal(self, analyte: str) -> float:
        if analyte not in self._level:
            facts = ANALYTES[analyte]
            women = facts.women if self._person.female else 0.0
            self._level[analyte] = facts.typical + women + self._chance.wobble(facts.among)
        return self._level[analyte]

    def _scale(self, analyte: str) -> float:
        """How this body compares with the median for its age: tall is heavy, and some are heavy besides."""
        stout = self._personal("bmi") / ANALYTES["bmi"].typical
        return self._band * self._band * stout if analyte == "weight" else self._band

    def _shifted(self, analyte: str, day: date) -> float:
        return sum(
            _grown(shift, (day - start).days / _YEAR)
            for start, end, shift in self._shifts
            if shift.analyte == analyte and start <= day and (end is None or day <= end)
        )


def _gained(analyte: str, age: float) -> float:
    """What adults put on between 18 and 45."""
    return 0.4 * min(max(age - GROWN, 0.0), 27.0) if analyte == "weight" else 0.0


def _mass_index(body: Body, day: date) -> float:
    return body.read("weight", day) / (body.read("height", day) / 100) ** 2


def _friedewald(body: Body, day: date) -> float:
    """LDL from total cholesterol, HDL and triglycerides (Friedewald et al., Clin Chem 1972;18:499)."""
    return body.read("cholesterol", day) - body.read("hdl", day) - body.read("triglycerides", day) / 5


def _diastolic(body: Body, day: date) -> float:
    return min(body.measured("dbp", day), body.read("sbp", day) - 20)


# What follows from other values of the same day, so that a report agrees with itself.
_DERIVED: dict[str, Callable[[Body, date], float]] = {
    "dbp": _diastolic,
    "bmi": _mass_index,
    "egfr": Body.filtration,
    "ldl": _friedewald,
    "hematocrit": lambda body, day: body.read("hemoglobin", day) * 2.95,
    "mcv": lambda body, day: body.read("hematocrit", day) / body.read("erythrocytes", day) * 10,
}

_GROWING = frozenset({"height", "weight", "head"})
# What a device or a score can show at all.
_POSSIBLE = {
    "oxygen": (70.0, 100.0),
    "temperature": (34.5, 40.8),
    "ferritin": (3.0, 2000.0),
    "apgar1": (0.0, 10.0),
    "apgar5": (0.0, 10.0),
    "pain": (0.0, 10.0),
    "auditc": (0.0, 12.0),
    "phq9": (0.0, 27.0),
    "gad7": (0.0, 21.0),
}
# Per year below 14: children's pressures are lower, pulses and breathing faster, creatinine lower.
_CHILDHOOD = {
    "sbp": -2.2,
    "dbp": -1.6,
    "pulse": 3.6,
    "breaths": 1.3,
    "creatinine": -0.045,
    "hemoglobin": -0.12,
    "hematocrit": -0.35,
}


def _grown(shift: Shift, years: float) -> float:
    fading = shift.amount / (1 + years / shift.halves) if shift.halves else shift.amount
    return fading + shift.yearly * years
