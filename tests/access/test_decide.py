"""The decision, walked over its whole table and probed at its edges."""

import itertools
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.access.decide import allowed, decide, decide_erasure
from medlock.access.grant import Grant, Rules
from medlock.access.groups import ALL_TYPES, AUDIT, DIRECTORY, KNOWLEDGE, LOOSE, RECORD, SHARED
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import NO_SCOPES, Kind, letters, parse_scopes
from medlock.errors import Denied
from medlock.fhir.query import Include, SearchQuery
from medlock.fhir.question import Interaction, Preconditions, Question

EVERY_SCOPE = "patient/*.cruds user/*.cruds system/*.cruds"
NEEDED = {
    Interaction.READ: "r",
    Interaction.VREAD: "r",
    Interaction.HISTORY: "r",
    Interaction.CREATE: "c",
    Interaction.UPDATE: "u",
    Interaction.DELETE: "d",
    Interaction.SEARCH: "s",
    Interaction.PATCH: "ru",
    Interaction.HISTORY_TYPE: "rs",
    Interaction.EVERYTHING: "r",
    Interaction.VALIDATE: "r",
    Interaction.DOCREF: "rs",
    Interaction.LASTN: "rs",
}
# Said a second time, in other words than access.roles: (role, types) → letters. What is not here is refused.
EXPECTED = [
    (Role.PATIENT, ALL_TYPES - LOOSE, "rs"),
    (Role.PATIENT, {"Consent"}, "crus"),
    (Role.PATIENT, {"Binary"}, "r"),
    (Role.CLINICIAN, ALL_TYPES - {"AuditEvent", "Consent"}, "cruds"),
    (Role.CLINICIAN, {"Consent"}, "rs"),
    (Role.NURSE, RECORD | DIRECTORY | KNOWLEDGE, "rs"),
    (
        Role.NURSE,
        set("CarePlan Communication DeviceUseStatement DocumentReference Flag Goal Immunization".split()),
        "cu",
    ),
    (
        Role.NURSE,
        set("MedicationAdministration MedicationStatement NutritionOrder Observation Procedure".split()),
        "cu",
    ),
    (Role.NURSE, {"QuestionnaireResponse", "Specimen", "Task"}, "cu"),
    (Role.LAB, {"Patient", "ServiceRequest"} | DIRECTORY, "rs"),
    (Role.LAB, {"DiagnosticReport", "Observation", "Specimen"}, "crus"),
    (Role.BILLING, {"Patient"} | DIRECTORY, "rs"),
    (Role.BILLING, set("Account ChargeItem Claim ClaimResponse Coverage EnrollmentRequest Invoice".split()), "crus"),
    (Role.BILLING, {"CoverageEligibilityRequest", "CoverageEligibilityResponse", "ExplanationOfBenefit"}, "crus"),
    (Role.CONSENT_RECORDER, {"Patient", "RelatedPerson"} | DIRECTORY, "rs"),
    (Role.CONSENT_RECORDER, {"Consent"}, "crus"),
    (Role.FRONT_DESK, {"Patient", "Appointment", "Coverage"}, "crus"),
    (Role.FRONT_DESK, DIRECTORY, "rs"),
    (Role.PRIVACY_OFFICER, {"AuditEvent"}, "rs"),
    (Role.LOADER, ALL_TYPES - {"AuditEvent"}, "crus"),
    (Role.BACKEND, ALL_TYPES - {"AuditEvent"}, "cruds"),
]


@dataclass
class Found:
    """A resource as the door knows it."""

    type: str
    patients: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def caller(*roles, scopes=EVERY_SCOPE, patient="", purpose="TREAT"):
    """A proven caller for these tests."""
    parsed = parse_scopes(scopes) if scopes else NO_SCOPES
    return mint_principal("someone", frozenset(roles), parsed, patient=patient, purpose=purpose)


def ask(interaction, resource_type, query=None, **more):
    """A question; a search always carries a query."""
    if interaction is Interaction.SEARCH and query is None:
        query = SearchQuery(resource_type)
    return Question(interaction, resource_type, "x", query=query, **more)


def permits(principal, question):
    """Whether the decision is yes."""
    try:
        return isinstance(decide(principal, question), Grant)
    except Denied:
        return False


def expected_letters(role, resource_type):
    """The oracle's letters for a role and type."""
    return {letter for r, types, given in EXPECTED if r is role and resource_type in types for letter in given}


@pytest.mark.parametrize("role", list(Role))
def test_every_role_type_and_interaction(role):
    """With every scope there is, exactly the table's pairs of type and interaction pass, for each role."""
    principal = caller(role, patient="p1" if role is Role.PATIENT else "", purpose="HOPERAT")
    for resource_type, (interaction, needed) in itertools.product(sorted(ALL_TYPES), NEEDED.items()):
        want = set(needed) <= expected_letters(role, resource_type)
        assert permits(principal, ask(interaction, resource_type)) is want, (resource_type, interaction)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("resource_type", ["Parameters", "OperationOutcome", "Unicorn", "", "patient"])
def test_types_outside_the_table_are_denied(role, resource_type):
    """A type that stands in no row is denied to everybody, for everything."""
    principal = caller(role, patient="p1", purpose="HOPERAT")
    assert not any(permits(principal, ask(interaction, resource_type)) for interaction in NEEDED)


@pytest.mark.parametrize("role", list(Role))
def test_no_scope_no_access(role):
    """A role without scopes may do nothing."""
    principal = caller(role, scopes="", patient="p1", purpose="HOPERAT")
    assert not any(allowed(principal, name) for name in ALL_TYPES)


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.CLINICIAN, "system/*.cruds"),
        (Role.CLINICIAN, "patient/*.cruds"),
        (Role.BACKEND, "user/*.cruds patient/*.cruds"),
        (Role.LOADER, "user/*.cruds"),
        (Role.PATIENT, EVERY_SCOPE),
        (Role.PRIVACY_OFFICER, "patient/*.cruds"),
    ],
)
def test_scopes_of_another_kind_pass_nothing_on(role, scopes):
    """A scope carries only rights of its kind: system for programs, patient for callers held to a patient."""
    principal = caller(role, scopes=scopes, purpose="HOPERAT")
    assert not any(allowed(principal, name) for name in ALL_TYPES)


@pytest.mark.parametrize("purpose", ["TREAT", "ETREAT", "HRESCH", "", "hoperat"])
def test_the_loader_needs_its_purpose(purpose):
    """Bulk load is for hospital operations only."""
    principal = caller(Role.LOADER, purpose=purpose)
    assert not any(allowed(principal, name) for name in ALL_TYPES)


def test_batch_and_transaction_are_never_decided_whole():
    """A bundle has no Grant of its own: each entry is its own question."""
    principal = caller(Role.CLINICIAN)
    assert not permits(principal, Question(Interaction.BATCH))
    assert not permits(principal, Question(Interaction.TRANSACTION))


def test_a_caller_held_to_a_patient_reaches_only_that_patient():
    """Patient context binds any role: own record and shared types, nobody else's, nothing unowned."""
    for role, scopes in [(Role.PATIENT, "patient/*.rs"), (Role.CLINICIAN, "user/*.cruds")]:
        grant = decide(caller(role, scopes=scopes, patient="p1"), ask(Interaction.READ, "Observation"))
        assert grant.everyone is None
        assert grant.covers(Found("Observation", ("p1",)))
        assert grant.covers(Found("Observation", ("p2", "p1")))
        assert not grant.covers(Found("Observation", ("p2",)))
        assert not grant.covers(Found("Observation"))
        assert not grant.covers(Found("Condition", ("p1",)))


def test_shared_types_are_readable_but_not_changed_by_a_held_caller():
    """A held clinician reads a Practitioner and changes none."""
    held = caller(Role.CLINICIAN, patient="p1")
    assert decide(held, ask(Interaction.READ, "Practitioner")).covers(Found("Practitioner"))
    assert not decide(held, ask(Interaction.UPDATE, "Practitioner")).covers(Found("Practitioner"))
    free = caller(Role.CLINICIAN)
    assert decide(free, ask(Interaction.UPDATE, "Practitioner")).covers(Found("Practitioner"))


@pytest.mark.parametrize("resource_type", sorted(LOOSE))
def test_loose_types_are_never_shared_with_patients(resource_type):
    """What may carry anything about anybody is not readable to a patient, even in their own context."""
    who = caller(Role.PATIENT, patient="p1")
    if resource_type != "Binary":
        assert not permits(who, ask(Interaction.READ, resource_type))
        return
    grant = decide(who, ask(Interaction.READ, "Binary"))  # only one that says that it is part of their record
    assert grant.covers(Found("Binary", ("p1",)))
    assert not grant.covers(Found("Binary", ("p2",)))
    assert not grant.covers(Found("Binary"))
    assert not permits(who, ask(Interaction.SEARCH, "Binary"))


def search(resource_type, **more):
    """A search question."""
    return ask(Interaction.SEARCH, resource_type, SearchQuery(resource_type, **more))


@pytest.mark.parametrize(
    "question",
    [
        search("Patient", revincludes=(Include("Condition", "subject"),)),
        search("Patient", includes=(Include("Condition", "subject", "Patient"),)),
        search("Observation", includes=(Include("Observation", "encounter", "Encounter"),)),
        search("Patient", revincludes=(Include("Provenance", "target", "Patient", iterate=True),)),
        ask(Interaction.SEARCH, "Patient", SearchQuery("Condition")),
        ask(Interaction.SEARCH, "Patient", SearchQuery("Observation")),
        ask(
            Interaction.CREATE,
            "Observation",
            preconditions=Preconditions(if_none_exist=SearchQuery("Condition")),
        ),
    ],
)
def test_every_type_a_question_names_must_pass(question):
    """Includes, reverse includes and conditional queries that name a type outside the scopes are refused whole."""
    narrow = caller(Role.CLINICIAN, scopes="user/Patient.cruds user/Observation.cruds")
    wide = caller(Role.CLINICIAN, scopes="user/*.cruds")
    assert not permits(narrow, question)
    assert permits(wide, question) is (question.query is None or question.query.type == question.type)


@pytest.mark.parametrize("given_rights", ["r", "s", "cud"])
def test_an_include_needs_both_read_and_search_on_its_target(given_rights):
    """Half the rights on an included type are not enough: what comes along is both found and read."""
    question = search("Observation", includes=(Include("Observation", "encounter", "Encounter"),))
    scopes = f"user/Observation.rs user/Encounter.{given_rights}"
    assert not permits(caller(Role.CLINICIAN, scopes=scopes), question)


def test_an_open_include_reaches_only_what_may_be_read():
    """_include without a target type covers the readable types, and leaves the others out of the answer."""
    principal = caller(Role.CLINICIAN, scopes="user/Observation.rs user/Patient.rs user/Device.s")
    grant = decide(principal, search("Observation", includes=(Include("Observation", "subject"),)))
    assert grant.covers(Found("Patient", ("p1",)))
    assert not grant.covers(Found("Device", ("p1",)))
    assert not grant.covers(Found("Group"))


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.BACKEND, Role.PATIENT])
def test_everything_covers_exactly_the_readable_types(role):
    """$everything yields the types with both read and search, the audit log left out."""
    principal = caller(
        role,
        scopes="patient/*.r user/*.r system/*.r patient/Patient.s user/Patient.s system/Patient.s "
        "patient/Goal.s user/Goal.s system/Goal.s",
        patient="p1",
    )
    grant = decide(principal, Question(Interaction.EVERYTHING, "Patient", "p1"))
    assert grant.rules == {"p1": Rules(frozenset({"Patient", "Goal"}))}
    everything = decide(caller(role, patient="p1"), Question(Interaction.EVERYTHING, "Patient", "p1"))
    assert "AuditEvent" not in everything.rules["p1"].types


def test_everything_needs_the_patient_itself():
    """Without read on Patient there is no $everything."""
    principal = caller(Role.CLINICIAN, scopes="user/Observation.cruds user/Patient.s")
    assert not permits(principal, Question(Interaction.EVERYTHING, "Patient", "p1"))


def test_conditional_create_needs_to_see_what_it_tests_for():
    """If-None-Exist tells whether a match exists, so create alone is not enough."""
    question = ask(Interaction.CREATE, "Patient", preconditions=Preconditions(if_none_exist=SearchQuery("Patient")))
    assert not permits(caller(Role.CLINICIAN, scopes="user/Patient.c"), question)
    assert permits(caller(Role.CLINICIAN, scopes="user/Patient.crs"), question)


@pytest.mark.parametrize("role", list(Role))
def test_only_a_privacy_officer_erases(role):
    """Erasure is nobody else's, whatever the scopes; and not for a caller who is held to a patient."""
    for patient in ("", "p1"):
        may = role is Role.PRIVACY_OFFICER and not patient
        with nullcontext() if may else pytest.raises(Denied):
            decide_erasure(caller(role, patient=patient, purpose="HOPERAT"))


def roles_sets():
    """Sets of roles."""
    return st.frozensets(st.sampled_from(list(Role)), min_size=1, max_size=3)


def scope_texts():
    """Scope texts, mostly narrow."""
    word = st.builds(
        "{}/{}.{}".format,
        st.sampled_from([kind.value for kind in Kind]),
        st.sampled_from(["*", "Patient", "Observation", "AuditEvent", "Practitioner", "Binary"]),
        st.integers(1, 31).map(letters),
    )
    return st.lists(word, min_size=1, max_size=4).map(" ".join)


@given(roles_sets(), roles_sets(), scope_texts(), st.sampled_from(["", "p1"]), st.sampled_from(sorted(ALL_TYPES)))
def test_more_roles_never_give_more_than_the_union(some, more, scopes, patient, resource_type):
    """What two sets of roles allow together is the union of what each allows."""
    of = [
        allowed(caller(*roles, scopes=scopes, patient=patient, purpose="HOPERAT"), resource_type)
        for roles in (some, more, some | more)
    ]
    assert of[2] == of[0] | of[1]


@given(roles_sets(), scope_texts(), scope_texts(), st.sampled_from(["", "p1"]), st.sampled_from(sorted(ALL_TYPES)))
def test_more_scopes_never_give_more_than_the_union(roles, some, more, patient, resource_type):
    """What two scope texts allow together is the union of what each allows."""
    of = [
        allowed(caller(*roles, scopes=scopes, patient=patient, purpose="HOPERAT"), resource_type)
        for scopes in (some, more, f"{some} {more}")
    ]
    assert of[2] == of[0] | of[1]


@given(roles_sets(), scope_texts(), st.sampled_from(["", "p1"]), st.sampled_from(sorted(ALL_TYPES)))
def test_an_intersection_is_never_wider_than_either_side(roles, scopes, patient, resource_type):
    """A right needs both a role that has it and a scope that names it."""
    bits = allowed(caller(*roles, scopes=scopes, patient=patient, purpose="HOPERAT"), resource_type)
    parsed = parse_scopes(scopes)
    in_scopes = parsed.allowed(Kind.PATIENT, resource_type)
    in_scopes |= parsed.allowed(Kind.USER, resource_type) | parsed.allowed(Kind.SYSTEM, resource_type)
    by_roles = set().union(*(expected_letters(role, resource_type) for role in roles))
    assert set(letters(bits)) <= by_roles & set(letters(in_scopes))


@given(roles_sets(), scope_texts(), st.sampled_from(sorted(ALL_TYPES)), st.sampled_from(list(NEEDED)))
def test_holding_a_caller_to_a_patient_never_widens(roles, scopes, resource_type, interaction):
    """A Grant with a patient in context covers no other patient's record, and nothing unowned but shared types."""
    principal = caller(*roles, scopes=scopes, patient="p1", purpose="HOPERAT")
    try:
        grant = decide(principal, ask(interaction, resource_type))
    except Denied:
        return
    for other in sorted(ALL_TYPES):
        assert not grant.covers(Found(other, ("p2",)))
        assert not grant.covers(Found(other)) or other in SHARED


def test_groups_part_the_types():
    """Every type stands in exactly one group, so that no row reaches it twice."""
    groups = [RECORD, AUDIT, DIRECTORY, KNOWLEDGE, LOOSE]
    assert sum(map(len, groups)) == len(ALL_TYPES)


def test_principal_and_grant_are_made_in_one_place_each():
    """Neither can be built by hand: they prove that authentication and decision took place."""
    with pytest.raises(TypeError):
        Principal("mallory", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"))
    with pytest.raises(TypeError):
        Grant("mallory", {}, Rules(ALL_TYPES), ALL_TYPES, "because")


def test_a_denial_keeps_its_reason_private():
    """The caller learns only that it is not allowed; the log learns why."""
    with pytest.raises(Denied) as denial:
        decide(caller(Role.SECURITY_ADMIN), ask(Interaction.READ, "Patient"))
    assert "Patient" not in str(denial.value)
    assert denial.value.reason == "security-admin may not r Patient with these scopes"
