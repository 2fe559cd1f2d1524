"""Other matters that people guard: HIV, sexual health, contraception, and violence at home, each labelled."""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic import measure, treatment, visits
from medlock.fhir.clinic.body import Shift
from medlock.fhir.clinic.chart import Chart
from medlock.fhir.clinic.notes import Story, note
from medlock.fhir.clinic.terms import icd, loinc, sct

_HIV_TEST = loinc("56888-1", "HIV 1+2 antibody and p24 antigen [Presence]")
_CHLAMYDIA_TEST = loinc("21613-5", "Chlamydia trachomatis DNA [Presence] by NAA")


def hiv(chart: Chart) -> None:
    """Write an HIV infection from the test on: treatment that works, CD4 cells that recover, quarterly visits."""
    start = chart.chance.day(max(chart.since, _grown(chart, 19)), chart.until - timedelta(days=120))
    if start < _grown(chart, 19) or start > chart.until - timedelta(days=30):
        return
    chart.body.shift(start, Shift("viral-load", 84000, halves=0.0001))
    chart.body.shift(start, Shift("cd4", -480, halves=1.1))
    visit = visits.hold(chart, visits.INFECTION, start, ("HIV",))
    measure.finding(chart, visit, _HIV_TEST, positive=True)
    codes = (sct("86406008", "Human immunodeficiency virus infection"), icd("B20", "HIV disease"))
    problem = treatment.condition(chart, visit, codes, start)
    measure.laboratory(chart, visit, ("hiv",))
    for drug in ("dolutegravir", "emtricitabine"):
        treatment.prescribe(chart, visit, drug, problem)
    found = "Told privately; nobody at home knows and nobody is to be told."
    note(chart, visit, Story("consult", "a positive test", found, "HIV infection, new.", "Treatment from today."))
    for quarter in range(1, chart.chance.between(4, 9)):
        day = start + timedelta(days=91 * quarter)
        if day <= chart.until:
            again = visits.hold(chart, visits.INFECTION, day, ("HIV",))
            visits.diagnose(again, problem)
            measure.laboratory(chart, again, ("hiv",))


def sexual_health(chart: Chart, day: date) -> None:
    """Write a screen for sexually transmitted infections, one in four positive and treated."""
    visit = visits.hold(chart, visits.SYMPTOM, day, ("STD",))
    positive = chart.chance.happens(0.25)
    measure.finding(chart, visit, _CHLAMYDIA_TEST, positive=positive)
    measure.finding(chart, visit, _HIV_TEST, positive=False)
    if positive:
        codes = (sct("240589008", "Chlamydia trachomatis infection"), icd("A74.9", "Chlamydial infection, unspecified"))
        over = visit.day + timedelta(days=21)
        problem = treatment.condition(chart, visit, codes, visit.day, over=over, chronic=False)
        treatment.prescribe(chart, visit, "azithromycin", problem, days=3)


def contraception(chart: Chart, day: date) -> None:
    """Write a visit about contraception: an injection or pills."""
    visit = visits.hold(chart, visits.SYMPTOM, day, ("SEX",))
    codes = (sct("13197004", "Contraception"), icd("Z30.9", "Encounter for contraceptive management"))
    problem = treatment.condition(chart, visit, codes, visit.day, over=visit.day, chronic=False)
    treatment.prescribe(chart, visit, chart.chance.pick(("depot", "pill")), problem)


def violence(chart: Chart) -> None:
    """Write one visit to the emergency department after violence at home."""
    day = chart.chance.day(max(chart.since, _grown(chart, 18)), chart.until)
    if day < _grown(chart, 18) or day > chart.until:
        return
    visit = visits.hold(chart, visits.EMERGENCY, day, ("SDV",))
    codes = (sct("706893006", "Victim of intimate partner abuse"), icd("T74.11XA", "Adult physical abuse, confirmed"))
    treatment.condition(chart, visit, codes, visit.day, chronic=False)
    measure.vitals(chart, visit, ("pressure", "pulse", "pain"))
    found = "Bruises of different ages on both forearms. The partner waited outside and must not see this note."
    plan = "Safe house number given on a card without a name. Letters not to be sent home."
    note(chart, visit, Story("emergency", "a fall down the stairs", found, "Injuries do not fit a fall.", plan))


def _grown(chart: Chart, age: int) -> date:
    return chart.person.born + timedelta(days=round(age * 365.25))
