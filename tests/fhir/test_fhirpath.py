"""The FHIRPath subset evaluates as FHIRPath N1 says, with the two departures that it declares."""

from __future__ import annotations

import pytest

from medlock.fhir.fhirpath import compile_expression
from medlock.fhir.fhirpath_nodes import Scope, compare

PATIENT = {
    "resourceType": "Patient",
    "active": True,
    "_gender": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]},
    "name": [{"use": "usual", "family": "Brook", "given": ["Ada", "May"]}, {"use": "old", "family": "Hill"}],
    "multipleBirthInteger": 2,
    "generalPractitioner": [{"reference": "Practitioner/d1"}, {"reference": "urn:uuid:x"}],
}
CASES = [
    ("active", [True]),
    ("Patient.active", [True]),
    ("name.family", ["Brook", "Hill"]),
    ("name.given", ["Ada", "May"]),
    ("multipleBirth", [2]),
    ("multipleBirth is integer", [True]),
    ("multipleBirth as boolean", []),
    ("multipleBirth > 1 and multipleBirth <= 2", [True]),
    ("multipleBirth + 1 = 3", [True]),
    ("birthDate", []),
    ("birthDate = '2020'", []),
    ("birthDate.exists()", [False]),
    ("birthDate.not()", [True]),
    ("gender.exists()", [True]),
    ("gender.hasValue()", [False]),
    ("active.hasValue()", [True]),
    ("active = true", [True]),
    ("active != true", [False]),
    ("name.count() = 2", [True]),
    ("name.where(use = 'old').family", ["Hill"]),
    ("name.where(given.exists()).select(family & '-' & use)", ["Brook-usual"]),
    ("name.all(family.exists())", [True]),
    ("name.all(given.exists())", [False]),
    ("name.exists(use = 'old')", [True]),
    ("name.first().use in ('usual' | 'old')", [True]),
    ("('usual' | 'old') contains 'nickname'", [False]),
    ("name.tail().family", ["Hill"]),
    ("name.use.isDistinct()", [True]),
    ("name.use.combine('old').isDistinct()", [False]),
    ("name.given.intersect('May')", ["May"]),
    ("name.family.first().startsWith('Br')", [True]),
    ("name.family.first().contains('oo')", [True]),
    ("name.family.first().matches('[A-Z][a-z]+')", [True]),
    ("name.family.first().matches('[A-Z]')", [False]),
    ("name.family.first().replaceMatches('o+', 'a')", ["Brak"]),
    ("'7'.toInteger() + 1", [8]),
    ("'x'.toInteger()", []),
    ("multipleBirth.toString()", ["2"]),
    ("active implies birthDate.exists()", [False]),
    ("birthDate.exists() implies active", [True]),
    ("birthDate implies active", [True]),
    ("active xor birthDate.exists()", [True]),
    ("birthDate or active", [True]),
    ("birthDate and active", []),
    ("birthDate and active.not()", [False]),
    ("iif(active, 'yes', 'no')", ["yes"]),
    ("iif(birthDate, 'yes', 'no')", ["no"]),
    ("generalPractitioner.resolve().ofType(Practitioner).count()", [1]),
    ("$this.active", [True]),
    ("%resource.active", [True]),
    ("%context.name.count()", [2]),
    ("%ucum", ["http://unitsofmeasure.org"]),
    ("children().ofType(HumanName).count()", [2]),
    ("descendants().where($this = 'May').count()", [1]),
    ("name.trace('x').count()", [2]),
    ("'a\\'b\\\\c'", ["a'b\\c"]),
    ("active and (name.count() = 3 or name.count() = 2)", [True]),
    ("name.count() + 1 = 3 and active", [True]),
]


@pytest.mark.parametrize(("text", "values"), CASES)
def test_an_expression_has_its_value(text, values):
    """Each expression gives the collection that FHIRPath says."""
    this = [(PATIENT, "Patient")]
    result = compile_expression(text).run(Scope(this, this, (PATIENT, "Resource")))
    assert [value for value, _ in result] == values


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        (1, 2, -1), (2.5, 2.5, 0), (3, 2.5, 1), ("a", "b", None), (1, "2020", None), (None, 1, None),
        ("2020", "2020", 0), ("2020", "2021", -1), ("2020-01", "2020", None), ("2020-12-31", "2020", None),
        ("2021-01", "2020-12-31", 1), ("2020-01-01", "2020-01-01T12:00:00Z", None),
        ("2020-01-01", "2020-01-01T23:00:00-12:00", None), ("2020-01-01", "2020-01-03T00:00:00Z", -1),
        ("2020-01-01T12:00:00+02:00", "2020-01-01T10:00:00Z", 0), ("2020-01-01T12:00:00Z", "2020-01-01T11:59:59Z", 1),
        ({"value": 1, "code": "m"}, {"value": 2, "code": "m"}, -1), ({"value": 1, "code": "m"}, {"value": 2, "code": "km"}, None),
        ("9999-12-31", "2020", 1), ("9999", "9999-12", None), ("2016-12-31T23:59:60Z", "2017-01-01T00:00:01Z", -1),
    ],
)  # fmt: skip
def test_order_is_told_only_when_it_is_certain(left, right, order):
    """Partial dates, zones and units make an order uncertain; certain orders are right both ways round."""
    assert compare(left, right) == order
    assert compare(right, left) == (None if order is None else -order)
