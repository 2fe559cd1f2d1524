"""Encounters: every way that a patient meets the clinic, and the hospital stay."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from medlock.fhir.clinic.chart import Chart, Problem, Visit
from medlock.fhir.clinic.staff import house_of, location, organisation
from medlock.fhir.clinic.terms import ACT_CODE, CLINIC, Json, Term, at, hl7, reference, sct


class Kind(NamedTuple):
    """A kind of encounter: its class (v3-ActCode), SNOMED CT type, where, who is seen, and for how long."""

    code: str
    shown: str
    type: Term
    place: str
    role: str
    minutes: int


CHECKUP = Kind("AMB", "ambulatory", sct("162673000", "General examination of patient"), "rooms", "", 30)
WELL_CHILD = Kind("AMB", "ambulatory", sct("410620009", "Well child visit"), "children", "", 30)
SYMPTOM = Kind("AMB", "ambulatory", sct("185345009", "Encounter for symptom"), "rooms", "", 15)
FOLLOW_UP = Kind("AMB", "ambulatory", sct("390906007", "Follow-up encounter"), "rooms", "", 20)
VIRTUAL = Kind("VR", "virtual", sct("448337001", "Telemedicine consultation with patient"), "", "", 15)
EMERGENCY = Kind("EMER", "emergency", sct("50849002", "Emergency room admission"), "emergency", "emergency", 190)
STAY = Kind("IMP", "inpatient encounter", sct("32485007", "Hospital admission"), "ward", "medicine", 0)
BIRTH = Kind("IMP", "inpatient encounter", sct("32485007", "Hospital admission"), "maternity", "obstetrics", 0)
PRENATAL = Kind("AMB", "ambulatory", sct("424619006", "Prenatal visit"), "maternity", "obstetrics", 20)
POSTNATAL = Kind("AMB", "ambulatory", sct("169762003", "Postnatal visit"), "maternity", "obstetrics", 20)
PSYCHIATRY = Kind("AMB", "ambulatory", sct("390906007", "Follow-up encounter"), "mind", "psychiatry", 40)
THERAPY = Kind("AMB", "ambulatory", sct("390906007", "Follow-up encounter"), "mind", "psychology", 50)
RECOVERY = Kind("AMB", "ambulatory", sct("390906007", "Follow-up encounter"), "harbour", "addiction", 40)
INFECTION = Kind("AMB", "ambulatory", sct("390906007", "Follow-up encounter"), "rooms", "infection", 30)


def hold(chart: Chart, kind: Kind, day: date, labels: tuple[str, ...] = (), *, nights: int = 0) -> Visit:
    """Write the Encounter of this kind that begins on `day`; a stay lasts `nights`."""
    chance = chart.chance
    clinician = chart.staff.who(chance, kind.role) if kind.role else chart.doctor
    if kind.code in {"EMER", "IMP"}:
        start = at(day, chance.between(0, 23), chance.between(0, 59))
    else:
        start = at(_weekday(day, chart.until), chance.between(8, 16), chance.pick((0, 15, 30, 45)))
    end = start + timedelta(days=nights, minutes=kind.minutes + chance.between(0, 9))
    visit = Visit({}, clinician, start, end, kind.place, labels)
    chart.add("Encounter", _encounter(chart, kind, visit), labels)
    return visit._replace(encounter=chart.last())


def diagnose(visit: Visit, problem: Problem, use: str = "AD") -> None:
    """Say what the encounter was about, in its reason and its diagnosis list."""
    diagnosis = {"condition": reference(problem.ref, problem.term.display), "use": hl7("diagnosis-role", use)}
    visit.encounter.setdefault("reasonCode", []).append(problem.term.concept())
    visit.encounter.setdefault("diagnosis", []).append(diagnosis)


def _weekday(day: date, until: date) -> date:
    """The nearest day from Monday to Friday, not after `until`."""
    shift = (0, 0, 0, 0, 0, -1, 1)[day.weekday()]
    moved = day + timedelta(days=shift)
    return moved if moved <= until else day - timedelta(days=2)


def _encounter(chart: Chart, kind: Kind, visit: Visit) -> Json:
    period = {"start": visit.start.isoformat(), "end": visit.end.isoformat()}
    place = {"location": [{"location": location(kind.place), "status": "completed"}]} if kind.place else {}
    house = house_of(kind.place) if kind.place else "clinic"
    performer = hl7("v3-ParticipationType", "PPRF", "primary performer")
    return {
        "identifier": [{"system": CLINIC + "encounter", "value": f"E{chart.person.number:05d}{len(chart.resources)}"}],
        "status": "finished",
        "class": {"system": ACT_CODE, "code": kind.code, "display": kind.shown},
        "type": [kind.type.concept()],
        "subject": reference(chart.person.ref, chart.person.name.shown),
        "participant": [{"type": [performer], "period": dict(period), "individual": visit.clinician.ref}],
        "period": period,
        **_hospitalization(kind),
        **place,
        "serviceProvider": organisation(house),
    }


def _hospitalization(kind: Kind) -> Json:
    if kind.code != "IMP":
        return {}
    source = hl7("admit-source", "gp" if kind is BIRTH else "emd")
    return {"hospitalization": {"admitSource": source, "dischargeDisposition": hl7("discharge-disposition", "home")}}
