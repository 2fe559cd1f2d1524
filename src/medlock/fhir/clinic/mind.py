"""Mental-health episodes: diagnosis, therapy and medicine over months, all labelled PSY and restricted.

Therapy notes carry PSYTHPN as well: 45 CFR 164.501 sets psychotherapy notes apart from the rest of the record.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from medlock.fhir.clinic import measure, treatment, visits
from medlock.fhir.clinic.body import Shift
from medlock.fhir.clinic.chart import Chart, Problem, Visit
from medlock.fhir.clinic.notes import Story, note
from medlock.fhir.clinic.terms import Term, icd, sct

PSY = ("PSY",)
_THERAPY = sct("228557008", "Cognitive and behavioral therapy")


class Disorder(NamedTuple):
    """One disorder of the mind: how common among adults, the score that follows it, its drug and its complaint."""

    codes: tuple[Term, Term]
    weight: float
    youngest: int
    score: str
    amount: float
    drug: str
    came: str


_DISORDERS = (
    Disorder(
        (sct("370143000", "Major depressive disorder"), icd("F33.1", "Major depressive disorder, recurrent, moderate")),
        8,
        14,
        "phq9",
        14,
        "sertraline",
        "low mood, early waking and no pleasure in anything for six weeks",
    ),
    Disorder(
        (sct("21897009", "Generalized anxiety disorder"), icd("F41.1", "Generalized anxiety disorder")),
        7,
        13,
        "gad7",
        12,
        "fluoxetine",
        "constant worry, a tight chest and trouble falling asleep",
    ),
    Disorder(
        (sct("47505003", "Posttraumatic stress disorder"), icd("F43.10", "Post-traumatic stress disorder")),
        3,
        18,
        "gad7",
        11,
        "sertraline",
        "nightmares and sudden fear on busy streets since the accident",
    ),
    Disorder(
        (sct("13746004", "Bipolar disorder"), icd("F31.9", "Bipolar disorder, unspecified")),
        1.5,
        18,
        "phq9",
        12,
        "lithium",
        "weeks of great energy with little sleep, now the opposite",
    ),
    Disorder(
        (sct("58214004", "Schizophrenia"), icd("F20.9", "Schizophrenia, unspecified")),
        0.7,
        18,
        "phq9",
        9,
        "quetiapine",
        "hearing voices at night and feeling watched",
    ),
)
_SESSIONS = (
    "We looked at the diary of thoughts; two of five entries were answered with a kinder one.",
    "The session stayed with the quarrel at home and what was left unsaid in it.",
    "Breathing exercise practised; first walk to the market place planned for Thursday.",
    "Talked about the brother's death for the first time. Long silences, then relief.",
    "Homework done. Sleep diary shows six hours instead of four.",
    "Thoughts of not wanting to live were asked about openly: none this month, a safety plan is in the wallet.",
)


def episode(chart: Chart) -> None:
    """Write one episode: a first consultation, therapy sessions, and reviews with a falling score."""
    adult_from = chart.person.born + timedelta(days=round(14 * 365.25))
    first = max(chart.since, adult_from)
    start = chart.chance.day(first, chart.until - timedelta(days=60))
    if start <= first and (chart.until - start).days < 90:
        return
    age = chart.person.age(start)
    options = [(disorder, disorder.weight) for disorder in _DISORDERS if disorder.youngest <= age]
    _run(chart, chart.chance.weighted(options), start)


def _run(chart: Chart, disorder: Disorder, start: date) -> None:
    chart.body.shift(start, Shift(disorder.score, disorder.amount, halves=0.35))
    visit = visits.hold(chart, visits.PSYCHIATRY, start, PSY)
    problem = treatment.condition(chart, visit, disorder.codes, start)
    measure.score(chart, visit, disorder.score)
    treatment.prescribe(chart, visit, disorder.drug, problem)
    means = f"{problem.term.display}, new to us. No danger to self or others at present."
    note(chart, visit, Story("psychiatry", disorder.came, "Mood and thought as described.", means, _PLAN))
    for week in range(chart.chance.between(3, 8)):
        _session(chart, problem, start + timedelta(days=10 + 14 * week))
    for month in (2, 5, 9):
        _review(chart, disorder, problem, start + timedelta(days=month * 30))


_PLAN = "Medicine started at the lowest dose; weekly talks with the psychologist; crisis line number given."


def _session(chart: Chart, problem: Problem, day: date) -> None:
    if day > chart.until:
        return
    visit = visits.hold(chart, visits.THERAPY, day, PSY)
    visits.diagnose(visit, problem)
    treatment.procedure(chart, visit, _THERAPY, 50, problem)
    if chart.chance.happens(0.6):
        words = " ".join(chart.chance.some(_SESSIONS, 2))
        story = Story("progress", "the agreed session", words, "Working alliance good.", "Same time in two weeks.")
        note(chart, visit, story, ("PSY", "PSYTHPN"))


def _review(chart: Chart, disorder: Disorder, problem: Problem, day: date) -> None:
    if day > chart.until:
        return
    visit = visits.hold(chart, visits.VIRTUAL, day, PSY)
    visits.diagnose(visit, problem)
    measure.score(chart, visit, disorder.score)
    _describe(chart, visit, disorder)


def _describe(chart: Chart, visit: Visit, disorder: Disorder) -> None:
    value = chart.body.read(disorder.score, visit.day)
    means = f"Score {value:g}, {'better than before' if value < disorder.amount else 'not yet better'}."
    note(chart, visit, Story("telephone", "review of the medicine", "Speaks freely.", means, "Dose unchanged."))
