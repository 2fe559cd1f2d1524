"""The decision on exports: what may be read and searched, as it is; what may reach a researcher, de-identified only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.test_decide import NEEDED, Found, ask, caller, expected_letters, permits
from medlock.access.decide import allowed, decide
from medlock.access.groups import ALL_TYPES, DIRECTORY, KNOWLEDGE, RECORD
from medlock.access.principal import Role
from medlock.errors import Denied
from medlock.fhir.options import ExportOptions
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import EXPORTS, Interaction, Question

STUDIED = RECORD | DIRECTORY | KNOWLEDGE
LEVELS = ["", "Patient", "Group"]


def exporting(interaction, level="", **options):
    """A kick-off."""
    return Question(interaction, level, "g" if level == "Group" else "", options=ExportOptions(**options))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("interaction", sorted(EXPORTS))
def test_every_role_and_type(role, interaction):
    """A named type passes when the role may read and search it; a researcher's when it stands in their own row."""
    principal = caller(role, patient="p1" if role is Role.PATIENT else "", purpose="HOPERAT")
    for name in sorted(ALL_TYPES):
        want = name in STUDIED if role is Role.RESEARCHER else expected_letters(role, name) >= {"r", "s"}
        want = want and name != "AuditEvent"
        assert permits(principal, exporting(interaction, types=frozenset({name}))) is want, name


def test_a_researcher_may_do_nothing_else():
    """No right on any type, no other interaction, with every scope there is."""
    principal = caller(Role.RESEARCHER, purpose="HOPERAT")
    assert not any(allowed(principal, name) for name in ALL_TYPES)
    assert not any(permits(principal, ask(each, name)) for each in NEEDED for name in ALL_TYPES)
    others = set(Interaction) - EXPORTS
    assert not any(permits(principal, Question(each, "Patient", "x")) for each in others)


@given(
    interaction=st.sampled_from(sorted(EXPORTS)),
    level=st.sampled_from(LEVELS),
    more=st.sets(st.sampled_from(list(Role))),
    types=st.sets(st.sampled_from(sorted(ALL_TYPES))),
)
def test_what_a_researcher_is_granted_is_de_identified(interaction, level, more, types):
    """Whatever other roles come with it, and whatever is asked: the Grant is for nothing else, or there is none."""
    principal = caller(Role.RESEARCHER, *more)
    try:
        grant = decide(principal, exporting(interaction, level, types=frozenset(types)))
    except Denied:
        assert types - STUDIED
        return
    assert grant.deidentified
    assert grant.studies
    assert not any(grant.covers(Found(name, ("p1",))) for name in ALL_TYPES - STUDIED)


@given(level=st.sampled_from(LEVELS), interaction=st.sampled_from(sorted(EXPORTS)))
def test_who_asks_for_de_identification_gets_it(level, interaction):
    """The operations of DARTS give a Grant for nothing else to everybody; $export gives one as before."""
    grant = decide(caller(Role.CLINICIAN), exporting(interaction, level))
    assert grant.deidentified is (interaction is not Interaction.EXPORT)
    assert not grant.studies


def test_a_researcher_asks_with_nothing_that_tells():
    """A patient in the token, a time of change, a search: each is denied."""
    for principal, options in (
        (caller(Role.RESEARCHER, patient="p1"), {}),
        (caller(Role.RESEARCHER), {"since": 0}),
        (caller(Role.RESEARCHER), {"filters": (SearchQuery("Patient"),)}),
    ):
        for interaction in EXPORTS:
            assert not permits(principal, exporting(interaction, **options))
            assert permits(caller(Role.CLINICIAN), exporting(interaction, **options))


def test_scopes_narrow_an_export():
    """Unnamed, it is cut to the scopes; a filter or a Group beyond them is denied; who is held to a patient stays so."""
    for role in (Role.CLINICIAN, Role.RESEARCHER):
        narrow = caller(role, scopes="user/Patient.rs")
        grant = decide(narrow, exporting(Interaction.EXPORT))
        assert {name for name in ALL_TYPES if grant.covers(Found(name, ("p1",)))} == {"Patient"}
        assert not permits(narrow, exporting(Interaction.EXPORT, "Group"))
        assert not permits(caller(role, scopes="user/*.r"), exporting(Interaction.EXPORT))
        assert not permits(caller(role, scopes="patient/*.rs"), exporting(Interaction.EXPORT))
    filtered = exporting(Interaction.EXPORT, filters=(SearchQuery("Observation"),))
    assert not permits(caller(Role.CLINICIAN, scopes="user/Patient.rs"), filtered)
    held = decide(caller(Role.PATIENT, patient="p1"), exporting(Interaction.EXPORT))
    assert not held.covers(Found("Patient", ("p2",)))
    assert held.covers(Found("Patient", ("p1",)))
