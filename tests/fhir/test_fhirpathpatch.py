"""FHIRPath Patch: each operation of R4 §3.1.4, what is beside a primitive, and refusals."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.errors import BadRequest, Unprocessable
from medlock.fhir import patchpaths
from medlock.fhir.fhirpathpatch import apply_fhirpath_patch
from medlock.fhir.options import PatchKind
from medlock.fhir.parameters import read_parameters
from medlock.fhir.patching import patched
from medlock.fhir.patchpaths import children

EMPTY = {"resourceType": "Patient"}
CONTACT = EMPTY | {"contact": [{"name": {"text": "a name"}, "gender": "male"}]}
TWO = EMPTY | {"identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}]}
GIVEN = EMPTY | {"name": [{"given": ["A", "B"], "_given": [None, {"id": "b"}]}]}
WEIGHT = {"resourceType": "Observation", "valueQuantity": {"value": 70.5}}


def operation(kind, path, **parts):
    """One operation; a part is a (value[x], value) pair, a number, a name, or parts of an unnamed type."""
    listed = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, given_value in parts.items():
        if isinstance(given_value, int):
            listed.append({"name": name, "valueInteger": given_value})
        elif isinstance(given_value, str):
            listed.append({"name": name, "valueString": given_value})
        elif isinstance(given_value, list):
            listed.append({"name": name, "part": given_value})
        else:
            listed.append({"name": name, given_value[0]: given_value[1]})
    return {"name": "operation", "part": listed}


def after(resource, *operations):
    """The resource after these operations."""
    return apply_fhirpath_patch(resource, {"resourceType": "Parameters", "parameter": list(operations)})


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        (EMPTY, ("add", "Patient", {"name": "birthDate", "value": ("valueDate", "1930-01-01")}),
         EMPTY | {"birthDate": "1930-01-01"}),
        (EMPTY | {"birthDate": "1920-01-01"}, ("replace", "Patient.birthDate", {"value": ("valueDate", "1930-01-01")}),
         EMPTY | {"birthDate": "1930-01-01"}),
        (EMPTY | {"birthDate": "1920-01-01"}, ("delete", "Patient.birthDate", {}), EMPTY),
        (EMPTY, ("delete", "Patient.birthDate", {}), EMPTY),
        (CONTACT, ("replace", "Patient.contact[0].gender", {"value": ("valueCode", "female")}),
         EMPTY | {"contact": [{"name": {"text": "a name"}, "gender": "female"}]}),
        (CONTACT, ("delete", "Patient.contact[0].name.text", {}), EMPTY | {"contact": [{"gender": "male"}]}),
        (CONTACT, ("delete", "Patient.contact[0]", {}), EMPTY),
        (EMPTY, ("add", "Patient", {"name": "maritalStatus", "value": ("valueCodeableConcept", {"text": "married"})}),
         EMPTY | {"maritalStatus": {"text": "married"}}),
        (EMPTY, ("add", "Patient", {"name": "contact", "value": [
            {"name": "name", "valueHumanName": {"text": "a name"}},
            {"name": "telecom", "valueContactPoint": {"value": "1"}},
            {"name": "telecom", "valueContactPoint": {"value": "2"}}]}),
         EMPTY | {"contact": [{"name": {"text": "a name"}, "telecom": [{"value": "1"}, {"value": "2"}]}]}),
        (TWO, ("insert", "Patient.identifier", {"index": 2, "value": ("valueIdentifier", {"value": "3"})}),
         EMPTY | {"identifier": [*TWO["identifier"], {"value": "3"}]}),
        (TWO, ("insert", "Patient.identifier", {"index": 0, "value": ("valueIdentifier", {"value": "3"})}),
         EMPTY | {"identifier": [{"value": "3"}, *TWO["identifier"]]}),
        (TWO, ("move", "Patient.identifier", {"source": 1, "destination": 0}),
         EMPTY | {"identifier": TWO["identifier"][::-1]}),
        (TWO, ("delete", "Patient.identifier.where(system = 'urn:a')", {}),
         EMPTY | {"identifier": TWO["identifier"][1:]}),
        (TWO, ("replace", "Patient.identifier.last().value", {"value": ("valueString", "9")}),
         EMPTY | {"identifier": [TWO["identifier"][0], {"system": "urn:b", "value": "9"}]}),
        (TWO, ("add", "Patient.identifier.first()", {"name": "use", "value": ("valueCode", "old")}),
         EMPTY | {"identifier": [TWO["identifier"][0] | {"use": "old"}, TWO["identifier"][1]]}),
        (GIVEN, ("delete", "Patient.name[0].given[0]", {}),
         EMPTY | {"name": [{"given": ["B"], "_given": [{"id": "b"}]}]}),
        (GIVEN, ("delete", "Patient.name[0].given[1]", {}), EMPTY | {"name": [{"given": ["A"]}]}),
        (GIVEN, ("move", "Patient.name[0].given", {"source": 1, "destination": 0}),
         EMPTY | {"name": [{"given": ["B", "A"], "_given": [{"id": "b"}, None]}]}),
        (GIVEN, ("insert", "Patient.name[0].given", {"index": 0, "value": ("valueString", "C")}),
         EMPTY | {"name": [{"given": ["C", "A", "B"], "_given": [None, None, {"id": "b"}]}]}),
        (GIVEN, ("replace", "Patient.name[0].given[1]", {"value": ("valueString", "C")}),
         EMPTY | {"name": [{"given": ["A", "C"]}]}),
        (WEIGHT, ("replace", "Observation.value", {"value": ("valueString", "none")}),
         {"resourceType": "Observation", "valueString": "none"}),
        (WEIGHT, ("delete", "Observation.value", {}), {"resourceType": "Observation"}),
        (WEIGHT, ("replace", "Observation.value.value", {"value": ("valueDecimal", 71)}),
         {"resourceType": "Observation", "valueQuantity": {"value": 71}}),
    ],
)  # fmt: skip
def test_operations(before, change, expected):
    """Each operation does what R4 says, and leaves what was given as it was."""
    kind, path, parts = change
    known = json.dumps(before)
    assert after(before, operation(kind, path, **parts)) == expected
    assert json.dumps(before) == known


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (EMPTY, ("replace", "Patient.birthDate", {"value": ("valueDate", "1930-01-01")})),
        (TWO, ("replace", "Patient.identifier.value", {"value": ("valueString", "9")})),
        (TWO, ("delete", "Patient.identifier", {})),
        (TWO, ("delete", "Patient", {})),
        (TWO, ("replace", "Patient", {"value": ("valueString", "x")})),
        (TWO, ("insert", "Patient.identifier", {"index": 3, "value": ("valueIdentifier", {})})),
        (TWO, ("move", "Patient.identifier", {"source": 2, "destination": 0})),
        (TWO, ("move", "Patient.gender", {"source": 0, "destination": 0})),
        (EMPTY | {"gender": "male"}, ("add", "Patient", {"name": "gender", "value": ("valueCode", "male")})),
        (EMPTY, ("add", "Patient", {"name": "gendre", "value": ("valueCode", "male")})),
        (EMPTY, ("add", "Patient.contact[0]", {"name": "gender", "value": ("valueCode", "male")})),
        (EMPTY, ("add", "Patient", {"name": "deceased", "value": ("valueQuantity", {"value": 1})})),
        (
            EMPTY | {"deceasedBoolean": True},
            ("add", "Patient", {"name": "deceased", "value": ("valueDateTime", "2020")}),
        ),
        (EMPTY | {"gender": "male"}, ("add", "Patient.gender", {"name": "id", "value": ("valueString", "x")})),
    ],
)
def test_operations_that_do_not_fit(before, change):
    """What names nothing, too much, or what the type does not have is unprocessable."""
    kind, path, parts = change
    with pytest.raises(Unprocessable):
        after(before, operation(kind, path, **parts))


@pytest.mark.parametrize(
    "wrong",
    [
        operation("remove", "Patient.birthDate"),
        operation("add", "Patient", name="birthDate"),
        operation("insert", "Patient.name", value=("valueHumanName", {})),
        operation("move", "Patient.name", source=1),
        operation("replace", "Patient.birthDate"),
        operation("delete", "Observation.value"),
        operation("delete", "birthDate"),
        operation("delete", "Patient.name[x]"),
        operation("delete", "Patient.name.where(use.lower() = 'a')"),
        operation("delete", "Patient.name.where(use = %x)"),
        operation("delete", "Patient.name | Patient.contact"),
        operation("delete", "Patient."),
        operation("delete", ""),
        operation("delete", "Patient." + "name." * 200 + "given"),
        operation("move", "Patient.name", source=-1, destination=0),
        operation("delete", "Patient.name", unknown=1),
        {"name": "op", "part": operation("delete", "Patient.name")["part"]},
        {"name": "operation"},
    ],
)
def test_what_is_no_patch(wrong):
    """An operation that cannot be understood makes the whole patch a bad request."""
    with pytest.raises(BadRequest) as refusal:
        after(TWO, wrong)
    assert refusal.value.http_status == 400


def test_all_or_nothing():
    """A later operation that fails takes the earlier ones with it."""
    good = operation("add", "Patient", name="birthDate", value=("valueDate", "1930-01-01"))
    with pytest.raises(Unprocessable) as refusal:
        after(TWO, good, operation("replace", "Patient.gender", value=("valueCode", "male")))
    assert "Operation 2" in str(refusal.value)
    assert "birthDate" not in TWO


def test_the_patch_is_read_as_strictly_as_a_resource():
    """Parameters that are not valid R4, another resource, or a member given twice are refused."""
    body = b'{"resourceType":"Patient","id":"1"}'
    for patch in (
        b'{"resourceType":"Parameters","parameter":[{"name":"operation","extra":1}]}',
        b'{"resourceType":"Patient"}',
        b'{"resourceType":"Parameters","resourceType":"Parameters"}',
        b"[]",
    ):
        with pytest.raises(BadRequest):
            patched(body, PatchKind.FHIRPATH, patch)
    assert json.loads(patched(body, PatchKind.FHIRPATH, b'{"resourceType":"Parameters"}')) == json.loads(body)


@given(st.lists(st.text("AB", max_size=2), min_size=1, max_size=5), st.data())
def test_inserting_and_deleting_undo_each_other(names, data):
    """A delete at the place of an insert gives back what there was; moving there and back does too."""
    before = EMPTY | {"name": [{"given": names}]}
    index = data.draw(st.integers(0, len(names)))
    one, other = (data.draw(st.integers(0, len(names) - 1)) for _ in range(2))
    path = "Patient.name[0].given"
    insert = operation("insert", path, index=index, value=("valueString", "C"))
    assert after(before, insert, operation("delete", f"{path}[{index}]")) == before
    there = operation("move", path, source=one, destination=other)
    assert after(before, there, operation("move", path, source=other, destination=one)) == before


@given(st.text(max_size=40))
def test_any_path_is_followed_or_refused(path):
    """No text makes anything but a refusal meant for the caller."""
    with suppress(BadRequest):
        after(TWO, operation("delete", path))


def test_work_is_bounded():
    """A thousand paths through a long list are refused, as is a resource that nests ever deeper."""
    long = EMPTY | {"identifier": [{"system": "urn:a", "value": str(number)} for number in range(5_000)]}
    delete = operation("delete", "Patient.identifier.where(value = 'x')")
    assert after(long, delete) == long
    with pytest.raises(Unprocessable):
        after(long, *[delete] * 200)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)
       | st.dictionaries(st.sampled_from(["resourceType", "parameter", "name", "part", "valueString", "valueCode", "valueInteger",
                                          "_valueString", "resource", "extension"]), inner, max_size=4), max_leaves=20))  # fmt: skip
def test_any_json_is_a_patch_or_refused(given_json):
    """Whatever stands in a Parameters resource: a patch, or a refusal meant for the caller."""
    body = json.dumps({"resourceType": "Parameters", "parameter": given_json}).encode()
    with suppress(BadRequest):
        patched(b'{"resourceType":"Patient","id":"1"}', PatchKind.FHIRPATH, body)
    with suppress(BadRequest):
        read_parameters(body)


def test_companions_of_another_length():
    """Ids that are fewer than the values, as a stored resource cannot have, refuse the operation and break nothing."""
    odd = EMPTY | {"name": [{"given": ["A", "B"], "_given": [{"id": "a"}]}]}
    with pytest.raises(Unprocessable):
        after(odd, operation("delete", "Patient.name[0].given[1]"))


LONG = EMPTY | {"name": [{"given": ["A"] * 50_000}]}
MANY = EMPTY | {"name": [{"text": "A"}] * 10_000}


@pytest.mark.parametrize(
    ("resource", "path"),
    [(LONG, "Patient.name.where(given = 'B')"), (MANY, "Patient.name.where(text = 'B')"), (LONG, "Patient.name.given")],
)
def test_what_paths_look_at_is_bounded(resource, path):
    """Also below a `where`: a thousand operations that find nothing in a long list would hold up everybody else."""
    with pytest.raises(Unprocessable, match="look at too much"):
        after(resource, *[operation("delete", f"{path}.extension")] * 10)


def test_a_condition_of_many_names_ends_where_nothing_is_below(monkeypatch):
    """Names beyond the last element cost nothing: 10,000 of them in each of 10,000 places took the server 40 seconds."""
    looked = []
    monkeypatch.setattr(patchpaths, "children", lambda spot, name: looked.append(name) or children(spot, name))
    many = ".".join(["period"] * 1_000)
    assert after(TWO, operation("delete", f"Patient.identifier.where({many} = 'B')")) == TWO
    assert looked == ["identifier", "period", "period"]
