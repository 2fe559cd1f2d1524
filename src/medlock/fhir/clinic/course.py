"""Long illnesses over the years: the visit that named them, reviews at their rhythm, drugs added in turn."""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic import measure, planning, treatment, visits
from medlock.fhir.clinic.chart import Chart, Problem, Visit
from medlock.fhir.clinic.disorders import DISORDERS, Disorder
from medlock.fhir.clinic.notes import Story, note

_MONTH = 30.44


def onsets(chart: Chart) -> list[tuple[Disorder, date]]:
    """Which chronic disorders this person has and since when; the body knows before the first visit."""
    person, found = chart.person, list[tuple[Disorder, date]]()
    age = person.age(chart.until)
    for disorder in DISORDERS.values():
        share = max((odds for start, odds in disorder.odds if start <= age), default=0.0)
        if (disorder.sex and disorder.sex != person.sex) or not chart.chance.happens(share):
            continue
        youngest = person.born + timedelta(days=round(disorder.odds[0][0] * 365.25))
        start = chart.chance.day(max(youngest, chart.since - timedelta(days=2500)), chart.until)
        found.append((disorder, start))
        for shift in disorder.shifts:
            chart.body.shift(start, shift)
    return found


def course(chart: Chart, disorder: Disorder, start: date) -> None:
    """Write a chronic disorder: the visit that named it, then reviews at its rhythm, with the next drug in turn."""
    first = max(start, chart.since)
    if first > chart.until:
        return
    visit = visits.hold(chart, visits.SYMPTOM, first)
    problem = treatment.condition(chart, visit, disorder.codes, start)
    steps = list(disorder.drugs)
    _next_drug(chart, visit, problem, steps)
    measure.laboratory(chart, visit, disorder.panels)
    if disorder.plan:
        planning.care(chart, problem, disorder.plan)
    for day in _review_days(chart, disorder, first):
        _review(chart, disorder, problem, steps, day)


def _review_days(chart: Chart, disorder: Disorder, first: date) -> list[date]:
    days, day = list[date](), first
    while len(days) < 9:
        day += timedelta(days=round(disorder.months * _MONTH * chart.chance.pick((0.9, 1.0, 1.2, 1.8))))
        if day > chart.until:
            break
        days.append(day)
    return days


def _review(chart: Chart, disorder: Disorder, problem: Problem, steps: list[str], day: date) -> None:
    seen = chart.chance.happens(0.75)
    visit = visits.hold(chart, visits.FOLLOW_UP if seen else visits.VIRTUAL, day)
    visits.diagnose(visit, problem)
    if seen:
        measure.vitals(chart, visit, ("pressure", "weight"))
        measure.laboratory(chart, visit, disorder.panels)
    if chart.chance.happens(0.3):
        _next_drug(chart, visit, problem, steps)
    if chart.chance.happens(0.35):
        means = f"{problem.term.display}, {chart.chance.pick(('stable', 'better', 'not yet at the goal'))}."
        kind = "progress" if seen else "telephone"
        note(chart, visit, Story(kind, "the agreed review", "See measurements.", means, "Medicines as listed."))


def _next_drug(chart: Chart, visit: Visit, problem: Problem, steps: list[str]) -> None:
    if steps:
        treatment.prescribe(chart, visit, steps.pop(0), problem, stopped=chart.chance.happens(0.1))
