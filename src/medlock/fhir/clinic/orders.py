"""What hangs on a chart's orders and visits: requests, specimens, what was handed over, lent, and asked.

A ServiceRequest and a Specimen for some laboratory reports, a MedicationDispense for some prescriptions, Devices, a
QuestionnaireResponse at some visits. Written after everything else, from what is on the chart by then: the rest of a
chart is the same with and without it. Each is as sensitive as what it hangs on.
"""

from __future__ import annotations

from copy import deepcopy

from medlock.fhir.clinic.chart import Chart
from medlock.fhir.clinic.privacy import labels_of
from medlock.fhir.clinic.terms import CLINIC, HL7, Json, Term, quantity, reference, sct

_LABORATORY = sct("108252007", "Laboratory procedure")
_BLOOD = sct("122555007", "Venous blood specimen")
_DEVICES = (sct("43770009", "Sphygmomanometer"), sct("337414009", "Blood glucose meter"), sct("86184003", "Nebulizer"))
_SUPPLY = (Term(HL7 + "v3-ActCode", "FF", "First Fill"), Term(HL7 + "v3-ActCode", "RFC", "Refill - Complete"))
_FORM = CLINIC + "Questionnaire/daily-life"
_QUESTIONS = (
    ("food", "In the last year, did the food run out before there was money for more?"),
    ("home", "Are you worried that you may lose your home?"),
    ("ride", "Did you miss a visit because you had no ride?"),
)


def orders(chart: Chart) -> None:
    """Write what was ordered, taken, handed over, lent and asked."""
    for resource in list(chart.resources):
        if resource["resourceType"] == "DiagnosticReport" and chart.chance.happens(0.2):
            _laboratory(chart, deepcopy(resource))
        elif resource["resourceType"] == "MedicationRequest" and chart.chance.happens(0.4):
            _dispense(chart, deepcopy(resource))
    adult = chart.person.age(chart.until) >= 18
    if adult and chart.chance.happens(0.5):
        _device(chart, chart.chance.pick(_DEVICES), "active")
        _device(chart, chart.chance.pick(_DEVICES), chart.chance.pick(("active", "inactive")))
    for resource in list(chart.resources):
        if adult and _is_checkup(resource) and chart.chance.happens(0.05):
            _asked(chart, resource)


def _laboratory(chart: Chart, report: Json) -> None:
    """The order of a report, and the specimen that it rests on."""
    target = f"DiagnosticReport/{report['id']}"
    fields = {
        "status": "completed",
        "intent": "order",
        "category": [_LABORATORY.concept()],
        "code": report["code"],
        "subject": chart.me,
        "encounter": report["encounter"],
        "occurrenceDateTime": report["effectiveDateTime"],
        "authoredOn": report["effectiveDateTime"],
        "requester": chart.doctor.ref,
    }
    ordered = chart.add("ServiceRequest", fields, labels_of(chart, target))
    taken = {
        "identifier": [{"system": CLINIC + "specimen", "value": report["id"]}],
        "status": "available",
        "type": _BLOOD.concept(),
        "subject": chart.me,
        "receivedTime": report["issued"],
        "request": [reference(ordered)],
        "collection": {"collectedDateTime": report["effectiveDateTime"]},
    }
    chart.add("Specimen", taken, labels_of(chart, target))


def _dispense(chart: Chart, request: Json) -> None:
    """What the pharmacy handed over: the whole of it, or nothing yet of what was stopped."""
    medication = {key: value for key, value in request.items() if key.startswith("medication")}
    days = request["dispenseRequest"]["expectedSupplyDuration"]["value"]
    stopped = request["status"] == "stopped"
    target = f"MedicationRequest/{request['id']}"
    fields = {
        "status": "stopped" if stopped else "completed",
        **medication,
        "subject": chart.me,
        "context": request["encounter"],
        "authorizingPrescription": [reference(target)],
        "type": chart.chance.pick(_SUPPLY).concept(),
        "daysSupply": quantity(days, "days", "d"),
        "whenHandedOver": request["authoredOn"],
        "dosageInstruction": request["dosageInstruction"],
    }
    chart.add("MedicationDispense", fields, labels_of(chart, target))


def _device(chart: Chart, kind: Term, status: str) -> None:
    serial = f"SN{chart.chance.digits(8)}"
    fields = {"status": status, "serialNumber": serial, "type": kind.concept(), "patient": chart.me}
    chart.add("Device", fields)


def _is_checkup(resource: Json) -> bool:
    return bool(resource["resourceType"] == "Encounter" and resource["class"]["code"] == "AMB")


def _asked(chart: Chart, encounter: Json) -> None:
    """The answers to three questions about daily life."""
    answers = [
        {"linkId": link, "text": text, "answer": [{"valueBoolean": chart.chance.happens(0.15)}]}
        for link, text in _QUESTIONS
    ]
    fields = {
        "questionnaire": _FORM,
        "status": "completed",
        "subject": chart.me,
        "encounter": reference(f"Encounter/{encounter['id']}"),
        "authored": encounter["period"]["start"],
        "source": chart.me,
        "item": answers,
    }
    chart.add("QuestionnaireResponse", fields, labels_of(chart, f"Encounter/{encounter['id']}"))
