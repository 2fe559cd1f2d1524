"""Immunisations by schedule: what is due at each age, given at the first visit after it falls due."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from medlock.fhir.clinic.chart import Chart, Visit
from medlock.fhir.clinic.drugs import INTO_MUSCLE, ORAL
from medlock.fhir.clinic.staff import location
from medlock.fhir.clinic.terms import CVX, Json, Term, hl7, quantity, reference, sct


class Vaccine(NamedTuple):
    """One vaccine of the schedule: its CVX code, ages due in months, and whether it is swallowed."""

    term: Term
    months: tuple[int, ...]
    by_mouth: bool = False


SCHEDULE = (
    Vaccine(Term(CVX, "08", "Hep B, adolescent or pediatric"), (0, 1, 6)),
    Vaccine(Term(CVX, "119", "rotavirus, monovalent"), (2, 4), by_mouth=True),
    Vaccine(Term(CVX, "20", "DTaP"), (2, 4, 6, 15, 49)),
    Vaccine(Term(CVX, "49", "Hib (PRP-OMP)"), (2, 4, 12)),
    Vaccine(Term(CVX, "133", "Pneumococcal conjugate PCV 13"), (2, 4, 6, 12)),
    Vaccine(Term(CVX, "10", "IPV"), (2, 4, 7, 49)),
    Vaccine(Term(CVX, "03", "MMR"), (12, 50)),
    Vaccine(Term(CVX, "21", "varicella"), (12, 50)),
    Vaccine(Term(CVX, "83", "Hep A, ped/adol, 2 dose"), (13, 20)),
    Vaccine(Term(CVX, "115", "Tdap"), (133,)),
    Vaccine(Term(CVX, "165", "HPV9"), (133, 140)),
    Vaccine(Term(CVX, "114", "meningococcal MCV4P"), (134, 193)),
    Vaccine(Term(CVX, "113", "Td (adult), preservative free"), (300, 420, 540, 660, 780)),
    Vaccine(Term(CVX, "187", "zoster recombinant"), (602, 606)),
    Vaccine(Term(CVX, "33", "pneumococcal polysaccharide PPV23"), (792,)),
)
_FLU = Term(CVX, "140", "Influenza, seasonal, injectable, preservative free")
_COVID = Term(CVX, "208", "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose")
_COVID_FROM = date(2021, 4, 1)
_ARM = sct("368208006", "Left upper arm structure")


class _Due(NamedTuple):
    day: date
    vaccine: Vaccine
    dose: int


class Immunisations:
    """What one person has had and what is due next."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._flu_year = 0
        self._covid = 0
        due = [
            _Due(chart.person.born + timedelta(days=round(month * 30.44)), vaccine, dose)
            for vaccine in SCHEDULE
            for dose, month in enumerate(vaccine.months, 1)
        ]
        due.sort(key=lambda item: (item.day, item.vaccine.term.code))
        self._due = [item for item in due if item.day >= chart.since]
        self._earlier = [item for item in due if item.day < chart.since]

    def report(self) -> None:
        """Write the doses that somebody else gave before the clinic knew this person, for the young."""
        if self._chart.person.age(self._chart.since) < 20:
            for item in self._earlier:
                self._chart.add("Immunization", self._reported(item))

    def visit(self, visit: Visit) -> None:
        """Give what is due, at most six at once, and influenza in autumn and winter."""
        given = [item for item in self._due if item.day <= visit.day][:6]
        for item in given:
            self._due.remove(item)
            self._chart.add("Immunization", self._given(visit, item.vaccine, item.dose))
        self._seasonal(visit)

    def _seasonal(self, visit: Visit) -> None:
        day, chance = visit.day, self._chart.chance
        old_enough = (day - self._chart.person.born).days > 200
        if old_enough and day.month in {9, 10, 11, 12, 1} and self._flu_year != day.year and chance.happens(0.6):
            self._flu_year = day.year
            self._chart.add("Immunization", self._given(visit, Vaccine(_FLU, ()), 1))
        if day >= _COVID_FROM and self._chart.person.age(day) >= 12 and self._covid < 2 and chance.happens(0.45):
            self._covid += 1
            self._chart.add("Immunization", self._given(visit, Vaccine(_COVID, ()), self._covid))

    def _given(self, visit: Visit, vaccine: Vaccine, dose: int) -> Json:
        chance = self._chart.chance
        route = ORAL if vaccine.by_mouth else INTO_MUSCLE
        site = {} if vaccine.by_mouth else {"site": _ARM.concept()}
        return {
            "status": "completed",
            "vaccineCode": vaccine.term.concept(),
            "patient": self._chart.me,
            "encounter": visit.ref,
            "occurrenceDateTime": visit.start.isoformat(),
            "primarySource": True,
            "location": location("children" if visit.place == "children" else "rooms"),
            "lotNumber": f"{chance.pick('ABCDEFGHKL')}{chance.digits(5)}",
            "expirationDate": (visit.day + timedelta(days=chance.between(40, 500))).isoformat(),
            **site,
            "route": route.concept(),
            "doseQuantity": quantity(2 if vaccine.by_mouth else 0.5, "mL", "mL"),
            "performer": [{"actor": self._chart.staff.who(chance, "nurse").ref}],
            "protocolApplied": [{"doseNumberPositiveInt": dose}],
        }

    def _reported(self, item: _Due) -> Json:
        return {
            "status": "completed",
            "vaccineCode": item.vaccine.term.concept(),
            "patient": reference(self._chart.person.ref),
            "occurrenceDateTime": item.day.isoformat(),
            "primarySource": False,
            "reportOrigin": hl7("immunization-origin", "record", "Written Record"),
            "protocolApplied": [{"doseNumberPositiveInt": item.dose}],
        }
