"""Substance-use episodes, seen at the recovery programme: labelled ETH (alcohol) or ETH and SUD (opioids).

The programme is the kind of place whose records 42 CFR Part 2 protects on top of everything else.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from medlock.fhir.clinic import measure, treatment, visits
from medlock.fhir.clinic.body import Shift
from medlock.fhir.clinic.chart import Chart, Problem, Visit
from medlock.fhir.clinic.notes import Story, note
from medlock.fhir.clinic.terms import Term, icd, loinc, sct

_REHAB = sct("56876005", "Drug rehabilitation and detoxification")
_SCREENS = (
    loinc("3879-4", "Opiates [Presence] in Urine"),
    loinc("3397-7", "Cocaine [Presence] in Urine"),
    loinc("3390-2", "Benzodiazepines [Presence] in Urine"),
)


class Substance(NamedTuple):
    """One dependence: codes, labels, what it shifts, the drug that helps."""

    codes: tuple[Term, Term]
    labels: tuple[str, ...]
    shifts: tuple[Shift, ...]
    drug: str
    came: str


_ALCOHOL = Substance(
    (sct("7200002", "Alcoholism"), icd("F10.20", "Alcohol dependence, uncomplicated")),
    ("ETH",),
    (Shift("auditc", 7, halves=0.5), Shift("alt", 48, halves=0.6), Shift("ast", 70, halves=0.6)),
    "naltrexone",
    "drinking from the morning on, and the wish to stop before the birth of a grandchild",
)
_OPIOIDS = Substance(
    (sct("75544000", "Opioid dependence"), icd("F11.20", "Opioid dependence, uncomplicated")),
    ("ETH", "SUD"),
    (Shift("weight", -6, halves=1.0),),
    "buprenorphine",
    "taking more and more of the tablets prescribed after a back operation",
)


def episode(chart: Chart) -> None:
    """Write one episode: intake, weekly and then monthly visits with screens and scores, sometimes a relapse."""
    substance = chart.chance.weighted(((_ALCOHOL, 6), (_OPIOIDS, 4)))
    adult = chart.person.born + timedelta(days=round(19 * 365.25))
    start = chart.chance.day(max(chart.since, adult), chart.until - timedelta(days=60))
    if start < adult or (chart.until - start).days < 20:
        return
    for shift in substance.shifts:
        chart.body.shift(start, shift)
    problem = _intake(chart, substance, start)
    relapse = chart.chance.between(3, 9)
    for number in range(1, chart.chance.between(5, 9)):
        day = start + timedelta(days=7 * number if number < 4 else 30 * (number - 3) + 21)
        if day <= chart.until:
            _follow(chart, substance, problem, day, relapsed=number == relapse)


def _intake(chart: Chart, substance: Substance, start: date) -> Problem:
    visit = visits.hold(chart, visits.RECOVERY, start, substance.labels)
    problem = treatment.condition(chart, visit, substance.codes, start)
    measure.score(chart, visit, "auditc")
    _screens(chart, visit, positive=substance is _OPIOIDS)
    treatment.procedure(chart, visit, _REHAB, 40, problem)
    treatment.prescribe(chart, visit, substance.drug, problem)
    means = f"{problem.term.display}; motivated; no withdrawal today."
    found = "Hands steady. Told in confidence; the family has not been informed."
    note(chart, visit, Story("consult", substance.came, found, means, "Treatment agreement signed. Weekly visits."))
    return problem


def _screens(chart: Chart, visit: Visit, *, positive: bool) -> None:
    for screen in _SCREENS:
        measure.finding(chart, visit, screen, positive=positive and screen is _SCREENS[0])


def _follow(chart: Chart, substance: Substance, problem: Problem, day: date, *, relapsed: bool) -> None:
    visit = visits.hold(chart, visits.RECOVERY, day, substance.labels)
    visits.diagnose(visit, problem)
    measure.score(chart, visit, "auditc")
    if substance is _OPIOIDS:
        _screens(chart, visit, positive=relapsed)
    else:
        measure.laboratory(chart, visit, ("liver",))
    if relapsed or chart.chance.happens(0.4):
        found = "A slip last weekend, told at once." if relapsed else "No use since the last visit."
        means = "Setback, not failure." if relapsed else "Stable in treatment."
        note(chart, visit, Story("progress", "the agreed visit", found, means, "Continue as agreed."))
