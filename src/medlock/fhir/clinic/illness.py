"""Passing illnesses and injuries, from a virtual visit for a cold to a stay on the ward."""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic import measure, treatment, visits
from medlock.fhir.clinic.ailments import AILMENTS, Ailment
from medlock.fhir.clinic.body import Shift
from medlock.fhir.clinic.chart import Chart, Problem, Visit
from medlock.fhir.clinic.notes import Story, note


def illnesses(chart: Chart) -> None:
    """Write passing illnesses: about one in two years, children more; a grave one only once."""
    years = (chart.until - chart.since).days / 365.25
    rate = 0.9 if chart.person.age(chart.until) < 8 else 0.45
    grave = set[str]()
    for _ in range(min(9, int(years * rate + chart.chance.unit()))):
        day = chart.chance.day(chart.since, chart.until - timedelta(days=8))
        ailment = _ailment(chart, day)
        if ailment.where != "ward" or ailment.complaint not in grave:
            grave.add(ailment.complaint)
            _fall_ill(chart, ailment, day)


def _ailment(chart: Chart, day: date) -> Ailment:
    sex, age = chart.person.sex, chart.person.age(day)
    return chart.chance.weighted(
        [
            (ailment, ailment.weight)
            for ailment in AILMENTS
            if ailment.youngest <= age <= ailment.oldest and ailment.sex in {"", sex} and ailment.since <= day.year
        ]
    )


def _fall_ill(chart: Chart, ailment: Ailment, day: date) -> None:
    over = day + timedelta(days=ailment.days)
    if ailment.fever:
        chart.body.shift(day, Shift("temperature", 1.9), over)
        chart.body.shift(day, Shift("crp", 60), over)
        chart.body.shift(day, Shift("leukocytes", 5.5), over)
        chart.body.shift(day, Shift("pulse", 18), over)
    kinds = {"rooms": visits.SYMPTOM, "virtual": visits.VIRTUAL, "emergency": visits.EMERGENCY, "ward": visits.STAY}
    nights = chart.chance.between(2, 6) if ailment.where == "ward" else 0
    visit = visits.hold(chart, kinds[ailment.where], day, nights=nights)
    problem = treatment.condition(chart, visit, ailment.codes, visit.day, over=over, chronic=False)
    if ailment.where != "virtual":
        measure.vitals(chart, visit, ("pressure", "pulse", "temperature", "oxygen"))
    measure.laboratory(chart, visit, ailment.panels)
    if ailment.procedure:
        treatment.procedure(chart, visit, ailment.procedure, 40, problem)
    for drug in ailment.drugs:
        treatment.prescribe(chart, visit, drug, problem, days=min(ailment.days, 14))
    _illness_note(chart, visit, ailment, problem)


def _illness_note(chart: Chart, visit: Visit, ailment: Ailment, problem: Problem) -> None:
    kind = {"rooms": "progress", "virtual": "telephone", "emergency": "emergency", "ward": "discharge"}[ailment.where]
    if kind in {"emergency", "discharge"} or chart.chance.happens(0.5):
        found = "Feverish and tired." if ailment.fever else "As described."
        means = f"{problem.term.display}."
        note(chart, visit, Story(kind, ailment.complaint, found, means, "Rest, fluids, medicines as prescribed."))
