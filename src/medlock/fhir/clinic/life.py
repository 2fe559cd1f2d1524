"""The course of one life at the clinic: check-ups, long and short illnesses, and everything that hangs on them.

`write` runs the parts in a fixed order; each takes its dates from the patient's own stream of choices. The order of
resources in the chart is the order in which they are told, not the order of dates, as in real exports.
"""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic import (
    course,
    demographics,
    illness,
    measure,
    mind,
    orders,
    planning,
    pregnancy,
    privacy,
    private,
    substances,
    treatment,
    visits,
)
from medlock.fhir.clinic.chart import Chart, Visit
from medlock.fhir.clinic.notes import Story, note
from medlock.fhir.clinic.terms import years_before
from medlock.fhir.clinic.vaccines import Immunisations

_WELL_CHILD_DAYS = (14, 61, 122, 183, 274, 365, 457, 548, 730)


def write(chart: Chart) -> None:
    """Write the whole chart."""
    demographics.write(chart)
    treatment.allergies(chart)
    if chart.person.born >= chart.since:
        pregnancy.newborn(chart)
    begun = course.onsets(chart)
    _checkups(chart)
    for disorder, start in begun:
        course.course(chart, disorder, start)
    illness.illnesses(chart)
    _guarded(chart)
    planning.appointments(chart)
    _with_others(chart)
    privacy.consents(chart)
    privacy.origins(chart)
    orders.orders(chart)


def _checkups(chart: Chart) -> None:
    """Write the regular visits, with immunisations, measurements and a yearly panel for adults."""
    immunisations = Immunisations(chart)
    immunisations.report()
    smoker = chart.chance.weighted((("never", 7), ("former", 3), ("daily", 2)))
    for day in _checkup_days(chart):
        age = chart.person.age(day)
        visit = visits.hold(chart, visits.WELL_CHILD if age < 16 else visits.CHECKUP, day)
        measure.vitals(chart, visit, _measured_at(age))
        immunisations.visit(visit)
        if age >= 16:
            measure.smoking(chart, visit, smoker)
            _yearly_panel(chart, visit, age)
        if chart.chance.happens(0.5):
            note(chart, visit, _checkup_story(chart, age))


def _checkup_days(chart: Chart) -> list[date]:
    """Well-child days by the schedule, later once a year or two."""
    born, since, until = chart.person.born, chart.since, chart.until
    days = [born + timedelta(days=days + chart.chance.between(0, 6)) for days in _WELL_CHILD_DAYS]
    day = max(since, born + timedelta(days=1000))
    while day <= until:
        days.append(day)
        day += timedelta(days=chart.chance.between(350, 420 if chart.person.age(day) > 50 else 800))
    return [day for day in days if since <= day <= until]


def _measured_at(age: int) -> tuple[str, ...]:
    if age < 3:
        return ("weight", "height", "head", "temperature")
    if age < 16:
        return ("weight", "height", "bmi", "pressure")
    return ("pressure", "pulse", "weight", "height", "bmi", "oxygen")


def _yearly_panel(chart: Chart, visit: Visit, age: int) -> None:
    if age >= 40 and chart.chance.happens(0.5):
        measure.laboratory(chart, visit, ("lipids",))
    if chart.chance.happens(0.25):
        measure.laboratory(chart, visit, ("count",))


def _checkup_story(chart: Chart, age: int) -> Story:
    came = "the yearly check" if age >= 3 else "the planned check of growth and vaccinations"
    found = "Growing along the usual line." if age < 16 else "Weight and pressure as in the measurements."
    plan = chart.chance.pick(("Same again next year.", "Walk every day.", "Dentist and eye test are due."))
    return Story("history" if age >= 16 else "progress", came, found, "Nothing of concern today.", plan)


def _guarded(chart: Chart) -> None:
    """Write what people guard most, for the share of them that has it."""
    person, chance = chart.person, chart.chance
    age = person.age(chart.until)
    if age >= 14 and chance.happens(0.17):
        mind.episode(chart)
    if age >= 20 and chance.happens(0.07):
        substances.episode(chart)
    if age >= 20 and chance.happens(0.02):
        private.hiv(chart)
    if age >= 19 and chance.happens(0.025):
        private.violence(chart)
    if 17 <= age <= 45 and chance.happens(0.16):
        private.sexual_health(chart, _recent(chart))
    if person.female:
        _womens_health(chart, age)


def _womens_health(chart: Chart, age: int) -> None:
    pregnancy.births(chart)
    if not 17 <= age <= 42 or chart.person.died:
        return
    infants = [child for child in chart.household.children_of(chart.person) if child.age(chart.today) < 2]
    if not infants and chart.chance.happens(0.07):
        pregnancy.current(chart)
    elif chart.chance.happens(0.3):
        private.contraception(chart, _recent(chart))
    if chart.chance.happens(0.04):
        pregnancy.lost(chart, _recent(chart))


def _recent(chart: Chart) -> date:
    """A day of the last two years at the clinic."""
    return chart.chance.day(max(chart.since, years_before(chart.until, 2)), chart.until)


def _with_others(chart: Chart) -> None:
    """Write appointments that name two patients: a young child with a parent, some couples."""
    adults = [person for person in chart.household.people if person.age(chart.today) >= 18 and not person.died]
    first = chart.household.people[0]
    young = chart.person.age(chart.today) < 6
    couple = chart.household.kind == "couple" and chart.person is not first and chart.chance.happens(0.2)
    if adults and not chart.person.died and (young or couple) and adults[0] is not chart.person:
        planning.together(chart, adults[0], chart.today + timedelta(days=chart.chance.between(2, 60)))
