"""What the patient decided and where the record came from: Consent and Provenance.

Consents have the form that IHE Privacy Consent on FHIR asks for: a root provision that permits the usual purposes,
and at most one level of exceptions that deny.
"""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic.chart import Chart
from medlock.fhir.clinic.staff import Clinician, location, organisation
from medlock.fhir.clinic.terms import ACT_CODE, ACT_REASON, HL7, PARTICIPATION, Json, at, hl7, loinc, reference

_PURPOSES = {"TREAT": "treatment", "HPAYMT": "healthcare payment", "HOPERAT": "healthcare operations"}


def consents(chart: Chart) -> None:
    """Write a consent for some: most of those with something sensitive on the chart, a few of the others."""
    labels = sorted({label for problem in chart.problems for label in problem.labels})
    if not chart.chance.happens(0.65 if labels else 0.12):
        return
    if labels and chart.chance.happens(0.75):
        exception = _deny_labels(labels)
    else:
        exception = _deny_person(chart.staff.who(chart.chance, chart.chance.pick(("gp", "nurse", "emergency"))))
    day = chart.chance.day(chart.since, chart.until)
    ref = chart.add("Consent", _consent(chart, day, exception))
    _provenance(chart, [ref], day, chart.doctor)


def origins(chart: Chart) -> None:
    """Write where some of the notes came from: who wrote them, on whose behalf, when."""
    for ref, visit in chart.notes:
        if chart.chance.happens(0.15):
            _provenance(chart, [ref], visit.day, visit.clinician)


def _consent(chart: Chart, day: date, exception: Json) -> Json:
    return {
        "status": "active",
        "scope": hl7("consentscope", "patient-privacy", "Privacy Consent"),
        "category": [loinc("59284-0", "Patient Consent").concept()],
        "patient": chart.me,
        "dateTime": at(day, 11, 5).isoformat(),
        "performer": [chart.me],
        "organization": [organisation("clinic")],
        "policyRule": hl7("v3-ActCode", "OPTIN", "opt-in"),
        "provision": {
            "type": "permit",
            "period": {"start": day.isoformat(), "end": (day + timedelta(days=3650)).isoformat()},
            "purpose": [
                {"system": ACT_REASON, "code": code, "display": display} for code, display in _PURPOSES.items()
            ],
            "provision": [exception],
        },
    }


def _deny_labels(labels: list[str]) -> Json:
    return {"type": "deny", "securityLabel": [{"system": ACT_CODE, "code": label} for label in labels]}


def _deny_person(clinician: Clinician) -> Json:
    role = {"coding": [{"system": PARTICIPATION, "code": "IRCP", "display": "information recipient"}]}
    return {"type": "deny", "actor": [{"role": role, "reference": clinician.ref}]}


def _provenance(chart: Chart, targets: list[str], day: date, author: Clinician) -> None:
    role = {"coding": [{"system": HL7 + "provenance-participant-type", "code": "author", "display": "Author"}]}
    labels = labels_of(chart, targets[0])
    fields = {
        "target": [reference(target) for target in targets],
        "recorded": at(day, 17, 30).isoformat(),
        "location": location("rooms"),
        "activity": hl7("v3-DataOperation", "CREATE", "create"),
        "agent": [{"type": role, "who": author.ref, "onBehalfOf": organisation(author.house)}],
    }
    chart.add("Provenance", fields, labels)


def labels_of(chart: Chart, target: str) -> tuple[str, ...]:
    """The sensitivity labels of a resource on the chart: what is said about it is as sensitive as it is."""
    number = int(target.rsplit("-", 1)[1])
    security = chart.resources[number]["meta"].get("security", [])
    return tuple(coding["code"] for coding in security if coding["system"] == ACT_CODE)
