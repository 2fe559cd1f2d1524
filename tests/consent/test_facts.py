"""What a resource says about itself, as consents ask."""

import pytest

from medlock.access.consent.codes import LABELLED
from medlock.access.consent.facts import _WHERE, facts_of
from medlock.fhir.dates import interval
from medlock.fhir.structures import resource_types, structure

NOTE = {
    "resourceType": "DocumentReference",
    "meta": {"profile": ["https://x.example/StructureDefinition/note"]},
    "type": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]},
    "subject": {"reference": "Patient/p"},
    "date": "2022-05-05T10:00:00Z",
    "author": [{"reference": "https://localhost/fhir/Practitioner/a/_history/3"}, {"reference": "Organization/o"}],
    "context": {"encounter": [{"reference": "Encounter/e"}], "event": [{"coding": [{"system": "s", "code": "e"}]}]},
    "content": [{"attachment": {"url": "https://else.example/Binary/1"}}],
}


def facts(resource, labels=(LABELLED,), updated=5):
    """Facts of a resource of this server."""
    return facts_of(resource, labels, updated, type_=resource["resourceType"], id_="x", base="https://localhost/fhir")


def test_a_note():
    """Codes, authors, date, references and profile, each from its own element."""
    found = facts(NOTE)
    assert found.codes == {"http://loinc.org|1-8"}
    assert found.any_codes == {"http://loinc.org|1-8", "s|e"}
    assert found.authors == {"Practitioner/a", "Organization/o"}
    assert found.references == {"Patient/p", "Practitioner/a", "Organization/o", "Encounter/e"}
    assert found.authored == interval("2022-05-05T10:00:00Z")
    assert found.profiles == {"https://x.example/StructureDefinition/note"}
    assert found.labels.level == 3


@pytest.mark.parametrize(
    "authors", [[], [{"display": "somebody"}], [{"reference": "Practitioner/a"}, {"reference": "urn:uuid:1"}]]
)
def test_an_author_who_is_not_known(authors):
    """None named, no resource named, or one of another server among them: unknown."""
    assert facts(NOTE | {"author": authors}).authors is None


def test_what_has_no_author_and_no_date():
    """A type without the element: written by nobody, as old as its last update. One that leaves it out: unknown."""
    person = facts({"resourceType": "Patient"})
    assert (person.authors, person.authored) == (frozenset(), (5, 6))
    assert facts({"resourceType": "Observation"}).authored is None


def test_a_period_counts_from_its_start():
    """An encounter belongs to the time in which it began."""
    found = facts({"resourceType": "Encounter", "period": {"start": "2022-12-31T23:00:00Z", "end": "2023-01-02"}})
    assert found.authored[0] == interval("2022-12-31T23:00:00Z")[0]


def test_not_labelled():
    """Labels that the labeller has not been asked about are unknown."""
    assert facts(NOTE, ()).labels is None


def test_the_table_names_elements_that_there_are():
    """Every element in the table stands in the definition of its type."""
    for type_, (dates, authors) in _WHERE.items():
        assert type_ in resource_types()
        known = structure(type_)
        for path in (*dates, *authors):
            assert path[0] in known.objects or path[0] in vars_of(known), (type_, path)


def vars_of(known):
    """Names of simple elements, however the structure holds them."""
    return {name for field in known.__struct_fields__ for name in named(getattr(known, field))}


def named(value):
    """Names in a mapping or a collection."""
    return (
        [name for name in value if isinstance(name, str)]
        if isinstance(value, (dict, set, frozenset, tuple, list))
        else []
    )


def test_an_author_further_in():
    """Of a visit, whoever took part; a date in a period is its beginning."""
    visit = {
        "resourceType": "Encounter",
        "period": {"start": "2022-01-01", "end": "2023-01-01"},
        "participant": [{"individual": {"reference": "Practitioner/a"}}, {"type": [{"text": "x"}]}],
    }
    found = facts(visit)
    assert found.authors == {"Practitioner/a"}
    start = interval("2022-01-01")[0]
    assert found.authored == (start, start + 1)
