"""The story holds together: dates in order, numbers that a body can have, biology that fits the sex."""

from __future__ import annotations

import itertools
from datetime import date, datetime

import pytest

from medlock.fhir.clinic.vaccines import SCHEDULE

_TODAY = date(2026, 11, 23)
_PLANNED = {"Appointment", "CarePlan", "Goal", "Coverage"}
_DATES = ("effectiveDateTime", "authoredOn", "onsetDateTime", "occurrenceDateTime", "recordedDate", "issued", "date")
_MONTH = 30.44


def _days(resource):
    found = [resource[name] for name in _DATES if isinstance(resource.get(name), str)]
    found += [resource["period"]["start"]] if resource["resourceType"] == "Encounter" else []
    return [date.fromisoformat(text[:10]) for text in found]


def _values(resources, code):
    for resource in resources:
        for part in [resource, *resource.get("component", [])]:
            if "valueQuantity" in part and part["code"]["coding"][0]["code"] == code:
                yield part["valueQuantity"]["value"]


def test_nothing_happens_before_birth_or_after_death_or_today(charts):
    """Every recorded date lies between birth and the end of the story (an illness may begin before registration)."""
    for chart in charts.values():
        patient = chart[0]
        born = date.fromisoformat(patient["birthDate"])
        died = patient.get("deceasedDateTime")
        end = date.fromisoformat(died[:10]) if died else _TODAY
        for resource in chart:
            if resource["resourceType"] not in _PLANNED:
                assert all(born <= day <= end for day in _days(resource)), resource


def test_encounters_end_after_they_begin(kind):
    """Periods run forwards, and clinics are closed at the weekend."""
    for encounter in kind("Encounter"):
        start, end = (datetime.fromisoformat(encounter["period"][side]) for side in ("start", "end"))
        assert start < end
        if encounter["class"]["code"] in {"AMB", "VR"}:
            assert start.weekday() < 5, encounter["id"]
            assert 8 <= start.hour <= 16


def test_resources_of_an_encounter_are_of_the_same_patient(charts):
    """Whatever names an encounter, and whatever a report lists, is in the same chart."""
    for ident, chart in charts.items():
        for resource in chart:
            inside = [resource.get("encounter", {}), *resource.get("result", []), *resource.get("reasonReference", [])]
            targets = [found["reference"] for found in inside if found]
            assert all(target.split("/")[1].startswith(ident) for target in targets)


def test_systolic_is_above_diastolic(kind):
    """Both pressures of one reading make sense together."""
    readings = [observation["component"] for observation in kind("Observation") if "component" in observation]
    assert len(readings) > 500
    for systolic, diastolic in readings:
        assert systolic["valueQuantity"]["value"] > diastolic["valueQuantity"]["value"] + 8


@pytest.mark.parametrize(
    ("code", "low", "high"),
    [
        ("8480-6", 50, 200),
        ("8867-4", 40, 190),
        ("8310-5", 35, 41),
        ("59408-5", 85, 100),
        ("39156-5", 11, 60),
        ("8302-2", 40, 205),
        ("29463-7", 2, 190),
        ("4548-4", 4, 13),
        ("2160-0", 0.2, 5),
        ("718-7", 6, 19),
        ("98979-8", 10, 160),
    ],
)
def test_values_are_ones_that_a_body_can_have(resources, code, low, high):
    """No measurement leaves the range that a living patient could show."""
    values = list(_values(resources, code))
    assert len(values) > 20
    assert low <= min(values)
    assert max(values) <= high


def test_a_lipid_report_agrees_with_itself(charts):
    """LDL is what Friedewald's formula gives for the other three values of the same day."""
    checked = 0
    for chart in charts.values():
        for _, day in itertools.groupby(
            (one for one in chart if one["resourceType"] == "Observation"),
            key=lambda one: one["encounter"]["reference"],
        ):
            found = {one["code"]["coding"][0]["code"]: one.get("valueQuantity", {}).get("value") for one in day}
            total, hdl, fats, ldl = (found.get(code) for code in ("2093-3", "2085-9", "2571-8", "13457-7"))
            if None not in {total, hdl, fats, ldl}:
                assert ldl == pytest.approx(max(total - hdl - fats / 5, 0), abs=1)
                checked += 1
    assert checked > 50


def test_flags_follow_the_printed_range(kind):
    """H, L and N say what comparing the value with its reference range says."""
    checked = 0
    for observation in kind("Observation"):
        for printed in observation.get("referenceRange", []):
            value, flag = observation["valueQuantity"]["value"], observation["interpretation"][0]["coding"][0]["code"]
            above = "high" in printed and value > printed["high"]["value"]
            below = "low" in printed and value < printed["low"]["value"]
            assert flag == ("H" if above else "L" if below else "N")
            checked += 1
    assert checked > 1000


def test_treatment_lowers_a1c(charts):
    """Over the years of a diabetic under treatment the first A1c is, on average, the worst."""
    falls = []
    for chart in charts.values():
        codes = {one["code"]["coding"][0]["code"] for one in chart if one["resourceType"] == "Condition"}
        series = list(_values(chart, "4548-4"))
        if "44054006" in codes and len(series) > 3:
            falls.append(series[0] - series[-1])
    assert len(falls) >= 3
    assert sum(falls) / len(falls) > 0


def test_vaccines_are_never_early(charts):
    """No dose of the childhood schedule is given before it is due."""
    due = {(vaccine.term.code, dose): month for vaccine in SCHEDULE for dose, month in enumerate(vaccine.months, 1)}
    given = 0
    for chart in charts.values():
        born = date.fromisoformat(chart[0]["birthDate"])
        for dose in (one for one in chart if one["resourceType"] == "Immunization"):
            key = (dose["vaccineCode"]["coding"][0]["code"], dose["protocolApplied"][0]["doseNumberPositiveInt"])
            age = (date.fromisoformat(dose["occurrenceDateTime"][:10]) - born).days
            assert age >= due.get(key, 6) * _MONTH - 2
            given += 1
    assert given > 1000


def test_biology_fits_the_sex(charts):
    """Pregnancies and births only in female bodies, prostates only in male ones."""
    women, men = {"72892002", "66348005", "11466000", "17369002", "64859006"}, {"266569009"}
    seen = set()
    for chart in charts.values():
        sex = next(part["valueCode"] for part in chart[0]["extension"] if part["url"].endswith("birthsex"))
        codes = {one["code"]["coding"][0]["code"] for one in chart if one["resourceType"] in {"Condition", "Procedure"}}
        assert not codes & (men if sex == "F" else women)
        seen |= codes & (women | men)
    assert len(seen) >= 5


def test_a_birth_is_in_both_charts(charts):
    """A newborn under our care has its own stay that begins on the day of its mother's."""
    pairs = 0
    for chart in charts.values():
        for related in (one for one in chart if one["resourceType"] == "RelatedPerson"):
            if related["relationship"][0]["coding"][0]["code"] == "NMTH":
                pairs += _stays(chart, chart[0]["birthDate"]) and _mothers_stay(charts, related, chart[0]["birthDate"])
    assert pairs > 10


def _stays(chart, day):
    return any(
        one["resourceType"] == "Encounter" and one["class"]["code"] == "IMP" and one["period"]["start"].startswith(day)
        for one in chart
    )


def _mothers_stay(charts, related, day):
    number = related["identifier"][0]["value"]
    mother = next(chart for chart in charts.values() if chart[0]["identifier"][0]["value"] == number)
    return _stays(mother, day)


def test_some_resources_name_two_patients(kind):
    """Family appointments and children's coverage lie in two compartments at once."""
    both = [
        one
        for one in kind("Appointment")
        if sum(part["actor"]["reference"].startswith("Patient/") for part in one["participant"]) == 2
    ]
    covered = [one for one in kind("Coverage") if one["subscriber"]["reference"] != one["beneficiary"]["reference"]]
    assert len(both) > 5
    assert len(covered) > 20


def test_appointments_lie_on_both_sides_of_today(kind):
    """Booked ones are still to come, missed ones are past."""
    starts = {"booked": [], "noshow": [], "cancelled": []}
    for one in kind("Appointment"):
        starts[one["status"]].append(date.fromisoformat(one["start"][:10]))
    assert all(day > _TODAY for day in starts["booked"])
    assert all(starts.values())
