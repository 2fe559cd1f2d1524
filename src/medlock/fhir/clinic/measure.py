"""Measurements on the chart: Observations with units, ranges and flags, and the DiagnosticReports over them."""

from __future__ import annotations

from datetime import date, timedelta

from medlock.fhir.clinic.analytes import ANALYTES, PANELS, Analyte
from medlock.fhir.clinic.chart import Chart, Visit
from medlock.fhir.clinic.staff import organisation
from medlock.fhir.clinic.terms import CLINIC, HL7, Json, Term, hl7, loinc, quantity, reference, sct

_CATEGORIES = {
    "vital-signs": "Vital Signs",
    "laboratory": "Laboratory",
    "survey": "Survey",
    "social-history": "Social History",
    "exam": "Exam",
}
_SECTIONS = {"LAB": "Laboratory", "CH": "Chemistry", "HM": "Hematology"}
_PRESSURE = loinc("85354-9", "Blood pressure panel")
_SMOKING = loinc("72166-2", "Tobacco smoking status")
SMOKING = {
    "never": sct("266919005", "Never smoked tobacco"),
    "former": sct("8517006", "Ex-smoker"),
    "daily": sct("449868002", "Smokes tobacco daily"),
}


def vitals(chart: Chart, visit: Visit, names: tuple[str, ...]) -> None:
    """Write the vital signs named, all read during the visit; "pressure" is both blood pressures in one."""
    for name in names:
        if name == "pressure":
            _write(chart, visit, "vital-signs", _PRESSURE, {"component": _pressures(chart, visit.day)})
        else:
            _write(chart, visit, "vital-signs", ANALYTES[name].term, _reading(chart, name, visit.day))


def score(chart: Chart, visit: Visit, name: str) -> None:
    """Write a questionnaire's total."""
    _write(chart, visit, "survey", ANALYTES[name].term, _reading(chart, name, visit.day))


def smoking(chart: Chart, visit: Visit, status: str) -> None:
    """Write what the patient says about tobacco."""
    value = {"valueCodeableConcept": SMOKING[status].concept()}
    _write(chart, visit, "social-history", _SMOKING, value)


def finding(chart: Chart, visit: Visit, term: Term, *, positive: bool) -> None:
    """Write a test that is present or absent."""
    answer = sct("10828004", "Positive") if positive else sct("260385009", "Negative")
    flag = _flag("POS" if positive else "NEG")
    _write(chart, visit, "laboratory", term, {"valueCodeableConcept": answer.concept()} | flag)


def laboratory(chart: Chart, visit: Visit, panels: tuple[str, ...]) -> None:
    """Write panels drawn at a visit: each an Observation per test and a DiagnosticReport that lists them."""
    for name in panels:
        panel = PANELS[name]
        results = [_tested(chart, visit, member) for member in panel.members]
        chart.add("DiagnosticReport", _report(chart, visit, name, results), visit.labels)


def _tested(chart: Chart, visit: Visit, name: str) -> Json:
    facts = ANALYTES[name]
    if chart.chance.happens(0.004):  # a tube is spoilt now and then
        lost = {"dataAbsentReason": hl7("data-absent-reason", "error", "Error")}
        return reference(_write(chart, visit, "laboratory", facts.term, lost), facts.term.display)
    fields = _reading(chart, name, visit.day) | _range(chart, facts)
    return reference(_write(chart, visit, "laboratory", facts.term, fields), facts.term.display)


def _write(chart: Chart, visit: Visit, category: str, term: Term, fields: Json) -> str:
    delay = timedelta(minutes=95 if category == "laboratory" else 6)
    performer = organisation("laboratory") if category == "laboratory" else visit.clinician.ref
    return chart.add(
        "Observation",
        {
            "status": "final",
            "category": [hl7("observation-category", category, _CATEGORIES[category])],
            "code": term.concept(),
            "subject": chart.me,
            "encounter": visit.ref,
            "effectiveDateTime": visit.start.isoformat(),
            "issued": (visit.start + delay).isoformat(),
            "performer": [performer],
            **fields,
        },
        visit.labels,
    )


def _reading(chart: Chart, name: str, day: date) -> Json:
    facts = ANALYTES[name]
    value = chart.body.read(name, day)
    return {"valueQuantity": quantity(value, facts.unit, facts.ucum)} | _judged(chart, facts, value)


def _pressures(chart: Chart, day: date) -> list[Json]:
    return [{"code": ANALYTES[name].term.concept()} | _reading(chart, name, day) for name in ("sbp", "dbp")]


def _bounds(chart: Chart, facts: Analyte) -> tuple[float | None, float | None]:
    women = facts.women if chart.person.female else 0.0
    low, high = facts.low, facts.high
    return (
        None if low is None else round(low + women, facts.digits or None),
        None if high is None else round(high + women, facts.digits or None),
    )


def _judged(chart: Chart, facts: Analyte, value: float) -> Json:
    low, high = _bounds(chart, facts)
    if low is None and high is None:
        return {}
    code = "H" if high is not None and value > high else "L" if low is not None and value < low else "N"
    return _flag(code)


def _flag(code: str) -> Json:
    shown = {"H": "High", "L": "Low", "N": "Normal", "POS": "Positive", "NEG": "Negative"}
    return {"interpretation": [hl7("v3-ObservationInterpretation", code, shown[code])]}


def _range(chart: Chart, facts: Analyte) -> Json:
    low, high = _bounds(chart, facts)
    limits = {side: quantity(limit, facts.unit, facts.ucum) for side, limit in (("low", low), ("high", high)) if limit}
    if not limits:
        return {}
    words = f"{low or 0:g} - {high:g}" if high is not None else f"over {low:g}"
    return {"referenceRange": [{**limits, "text": f"{words} {facts.unit}"}]}


def _report(chart: Chart, visit: Visit, name: str, results: list[Json]) -> Json:
    panel = PANELS[name]
    accession = {"system": CLINIC + "accession", "value": f"L{visit.day:%y%m%d}{chart.chance.digits(6)}"}
    return {
        "identifier": [accession],
        "status": "final",
        "category": [
            {"coding": [{"system": HL7 + "v2-0074", "code": panel.section, "display": _SECTIONS[panel.section]}]}
        ],
        "code": panel.term.concept(),
        "subject": chart.me,
        "encounter": visit.ref,
        "effectiveDateTime": visit.start.isoformat(),
        "issued": (visit.start + timedelta(minutes=110)).isoformat(),
        "performer": [organisation("laboratory")],
        "result": results,
    }
