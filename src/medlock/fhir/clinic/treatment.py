"""What is found and done: Condition, MedicationRequest, Procedure and AllergyIntolerance."""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic.chart import Chart, Problem, Visit
from medlock.fhir.clinic.drugs import FORMULARY
from medlock.fhir.clinic.staff import location
from medlock.fhir.clinic.terms import Json, Term, at, hl7, reference, sct
from medlock.fhir.clinic.visits import diagnose

_ASSERTED = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"


def condition(
    chart: Chart, visit: Visit, codes: tuple[Term, ...], since: date, *, over: date | None = None, chronic: bool = True
) -> Problem:
    """Write a Condition first recorded at a visit, under all its codes, and name it in the encounter.

    `over` is the day it ended, if it did; a chronic one goes on the problem list.
    """
    category = ("problem-list-item", "Problem List Item") if chronic else ("encounter-diagnosis", "Encounter Diagnosis")
    ended = over is not None and over <= chart.until
    asserted = {"url": _ASSERTED, "valueDateTime": visit.start.isoformat()}
    fields: Json = {
        **({"extension": [asserted]} if chronic else {}),
        "clinicalStatus": hl7("condition-clinical", "resolved" if ended else "active"),
        "verificationStatus": hl7("condition-ver-status", "confirmed"),
        "category": [hl7("condition-category", *category)],
        "code": codes[0].concept(*codes[1:]),
        "subject": chart.me,
        "encounter": visit.ref,
        "onsetDateTime": since.isoformat(),
    }
    fields |= {"abatementDateTime": over.isoformat()} if over and ended else {}
    fields |= {"recordedDate": visit.start.isoformat(), "recorder": visit.clinician.ref}
    problem = Problem(chart.add("Condition", fields, visit.labels), codes[0], since, visit.labels)
    diagnose(visit, problem, "DD" if visit.place == "ward" else "CC")
    if chronic and not ended:
        chart.problems.append(problem)
    return problem


def prescribe(chart: Chart, visit: Visit, drug: str, problem: Problem, *, days: int = 0, stopped: bool = False) -> None:
    """Write a MedicationRequest; `days` is the length of a course, 0 for a drug to be taken from now on."""
    facts = FORMULARY[drug]
    ends = visit.day + timedelta(days=days or 3650)
    status = "stopped" if stopped else "completed" if ends < chart.today or chart.person.died else "active"
    period = {"start": visit.day.isoformat()} | ({"end": ends.isoformat()} if days else {})
    supply = {"value": days or 90, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
    fields = {
        "status": status,
        "intent": "order",
        "category": [hl7("medicationrequest-category", "outpatient", "Outpatient")],
        **facts.medication(),
        "subject": chart.me,
        "encounter": visit.ref,
        "authoredOn": visit.end.isoformat(),
        "requester": visit.clinician.ref,
        "reasonReference": [reference(problem.ref, problem.term.display)],
        "dosageInstruction": [facts.dosage()],
        "dispenseRequest": {
            "validityPeriod": period,
            "numberOfRepeatsAllowed": 0 if days else 3,
            "expectedSupplyDuration": supply,
        },
    }
    chart.add("MedicationRequest", fields, visit.labels)


def procedure(chart: Chart, visit: Visit, term: Term, minutes: int, problem: Problem | None = None) -> None:
    """Write a Procedure done during a visit."""
    ends = min(visit.start + timedelta(minutes=minutes), visit.end)
    fields: Json = {
        "status": "completed",
        "code": term.concept(),
        "subject": chart.me,
        "encounter": visit.ref,
        "performedPeriod": {"start": visit.start.isoformat(), "end": ends.isoformat()},
        "performer": [{"actor": visit.clinician.ref}],
    }
    fields |= {"location": location(visit.place)} if visit.place else {}
    fields |= {"reasonReference": [reference(problem.ref, problem.term.display)]} if problem else {}
    chart.add("Procedure", fields, visit.labels)


# (what to, category, is it a medication, reaction)
_HIVES = sct("126485001", "Urticaria")
_RASH = sct("271807003", "Eruption of skin")
_SHOCK = sct("39579001", "Anaphylaxis")
_BREATH = sct("267036007", "Dyspnea")
_SICK = sct("422400008", "Vomiting")
_ALLERGIES = (
    (sct("91936005", "Allergy to penicillin"), "medication", _RASH),
    (sct("91935009", "Allergy to peanut"), "food", _SHOCK),
    (sct("91934008", "Allergy to nut"), "food", _HIVES),
    (sct("91930004", "Allergy to egg protein"), "food", _SICK),
    (sct("300913006", "Allergy to shellfish"), "food", _HIVES),
    (sct("425525006", "Allergy to dairy product"), "food", _SICK),
    (sct("300916003", "Allergy to latex"), "environment", _RASH),
    (sct("424213003", "Allergy to bee venom"), "environment", _SHOCK),
    (sct("232350006", "House dust mite allergy"), "environment", _BREATH),
    (sct("418689008", "Allergy to grass pollen"), "environment", _BREATH),
    (sct("232347008", "Animal dander allergy"), "environment", _HIVES),
)


def allergies(chart: Chart) -> None:
    """Write what the patient may not be given: for a third one or two allergies, for most that none is known."""
    chance = chart.chance
    if chance.happens(0.34):
        for term, category, reaction in chance.some(_ALLERGIES, chance.between(1, 2)):
            chart.add("AllergyIntolerance", _allergy(chart, term, category, reaction))
    elif chance.happens(0.6):
        none = sct("716186003", "No known allergy")
        chart.add("AllergyIntolerance", _no_allergy(chart, none))


def _allergy(chart: Chart, term: Term, category: str, reaction: Term) -> Json:
    severe = reaction is _SHOCK
    return _no_allergy(chart, term) | {
        "type": "allergy",
        "category": [category],
        "criticality": "high" if severe else "low",
        "reaction": [{"manifestation": [reaction.concept()], "severity": "severe" if severe else "mild"}],
    }


def _no_allergy(chart: Chart, term: Term) -> Json:
    return {
        "clinicalStatus": hl7("allergyintolerance-clinical", "active"),
        "verificationStatus": hl7("allergyintolerance-verification", "confirmed"),
        "code": term.concept(),
        "patient": chart.me,
        "recordedDate": at(chart.since, 9).isoformat(),
        "recorder": chart.doctor.ref,
    }
