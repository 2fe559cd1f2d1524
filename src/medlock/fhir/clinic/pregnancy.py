"""Pregnancies: prenatal visits, the birth of a child of the household, and what the newborn's chart begins with.

Mother and child each get their own Encounter for the birth; the appointment six weeks later names both.
"""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic import measure, treatment, visits
from medlock.fhir.clinic.body import Shift
from medlock.fhir.clinic.chart import Chart, Problem, Visit
from medlock.fhir.clinic.notes import Story, note
from medlock.fhir.clinic.people import Person
from medlock.fhir.clinic.terms import icd, loinc, sct

_CODES = (sct("72892002", "Normal pregnancy"), icd("Z34.90", "Supervision of normal pregnancy"))
_DAYS = 280
_PRENATAL_DAYS = (70, 112, 154, 189, 217, 245, 266)
_ULTRASOUND = sct("271442007", "Fetal anatomy study")
_FETAL_HEART = sct("225158009", "Auscultation of the fetal heart")
_VAGINAL = sct("66348005", "Childbirth")
_CESAREAN = sct("11466000", "Cesarean section")
_PREGNANCY_TEST = loinc("2106-3", "Choriogonadotropin (pregnancy test) [Presence] in Urine")


def births(chart: Chart) -> None:
    """Write the pregnancy and birth of each child of the household that this woman bore under our care."""
    done = set[date]()
    for child in chart.household.children_of(chart.person):
        begun = child.born - timedelta(days=_DAYS)
        if begun > chart.since and child.born <= chart.until and child.born not in done:
            done.add(child.born)
            _delivered(chart, begun, child)


def current(chart: Chart) -> None:
    """Write a pregnancy that is still going on."""
    days = chart.chance.between(75, 250)
    begun = chart.until - timedelta(days=days)
    if begun > chart.since:
        _prenatal(chart, begun, chart.until, None)


def lost(chart: Chart, day: date) -> None:
    """Write an early loss of a pregnancy, labelled SEX."""
    visit = visits.hold(chart, visits.EMERGENCY, day, ("SEX",))
    codes = (sct("17369002", "Miscarriage"), icd("O03.9", "Complete or unspecified spontaneous abortion"))
    treatment.condition(chart, visit, codes, visit.day, over=visit.day + timedelta(days=14), chronic=False)
    measure.finding(chart, visit, _PREGNANCY_TEST, positive=True)
    found = "Bleeding since the morning. Asked that the family not be told of the pregnancy."
    note(chart, visit, Story("emergency", "pain and bleeding", found, "Early loss, complete.", "Rest; call back."))


def newborn(chart: Chart) -> None:
    """Write the newborn's own stay: Apgar scores, first measurements, first note."""
    visit = visits.hold(chart, visits.BIRTH, chart.person.born, nights=2)
    codes = (sct("169826009", "Single live birth"), icd("Z38.00", "Single liveborn infant, delivered vaginally"))
    over = chart.person.born + timedelta(days=2)
    treatment.condition(chart, visit, codes, visit.day, over=over, chronic=False)
    for name in ("apgar1", "apgar5"):
        measure.score(chart, visit, name)
    measure.vitals(chart, visit, ("weight", "height", "head", "temperature"))
    weight = chart.body.read("weight", visit.day)
    story = Story(
        "history",
        "first examination after birth",
        f"Weighs {weight:g} kg.",
        "Healthy newborn.",
        "Home on day two; first visit booked.",
    )
    note(chart, visit, story)


def _delivered(chart: Chart, begun: date, child: Person) -> None:
    problem = _prenatal(chart, begun, child.born - timedelta(days=3), child.born)
    visit = visits.hold(chart, visits.BIRTH, child.born, nights=2)
    visits.diagnose(visit, problem, "DD")
    surgical = chart.chance.happens(0.28)
    treatment.procedure(chart, visit, _CESAREAN if surgical else _VAGINAL, 50 if surgical else 200, problem)
    measure.vitals(chart, visit, ("pressure", "pulse", "temperature"))
    measure.laboratory(chart, visit, ("count",))
    way = "by cesarean section" if surgical else "without instruments"
    found = f"{child.name.shown} was born {way} and cried at once."
    note(chart, visit, Story("discharge", "labour at term", found, "Mother and child well.", "Midwife visits daily."))
    after = child.born + timedelta(days=42)
    if after <= chart.until:
        visits.diagnose(visits.hold(chart, visits.POSTNATAL, after), problem)


def _prenatal(chart: Chart, begun: date, until: date, born: date | None) -> Problem:
    chart.body.shift(begun, Shift("weight", 0, 16), born)
    first = visits.hold(chart, visits.PRENATAL, begun + timedelta(days=_PRENATAL_DAYS[0]))
    problem = treatment.condition(chart, first, _CODES, begun + timedelta(days=30), over=born)
    measure.laboratory(chart, first, ("count",))
    _checked(chart, first)
    for days in _PRENATAL_DAYS[1:]:
        day = begun + timedelta(days=days)
        if day <= until:
            visit = visits.hold(chart, visits.PRENATAL, day)
            visits.diagnose(visit, problem)
            _checked(chart, visit)
            done = _ULTRASOUND if days == _PRENATAL_DAYS[2] else _FETAL_HEART
            treatment.procedure(chart, visit, done, 15, problem)
    return problem


def _checked(chart: Chart, visit: Visit) -> None:
    measure.vitals(chart, visit, ("pressure", "weight"))
