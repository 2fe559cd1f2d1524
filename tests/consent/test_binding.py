"""Whom consents bind, and as what request they see them."""

import pytest

from consent import form
from medlock.access.consent.binding import actions_of, ask_of, binds, callers, naming_of
from medlock.access.consent.reading import read
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.fhir.question import Interaction, Question


def caller(role, **more):
    """A proven caller."""
    return mint_principal("a", frozenset({role}), parse_scopes("user/*.cruds"), **more)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PATIENT])
def test_everybody_but_the_patient_is_bound(role):
    """Whatever the role, with a patient in context or without; the log of who came in is no part of the record."""
    for patient in ("", "p"):
        assert binds(caller(role, patient=patient), Question(Interaction.READ, "Observation", "o"))
    assert not binds(caller(role), Question(Interaction.SEARCH, "AuditEvent"))


def test_the_patient_is_not_bound():
    """Held to the own record, or to that of whom one stands in for; a patient's role without a record is nobody's."""
    asked = Question(Interaction.READ, "Observation", "o")
    assert not binds(caller(Role.PATIENT, patient="p"), asked)
    assert binds(caller(Role.PATIENT), asked)


@pytest.mark.parametrize("interaction", list(Interaction))
def test_every_interaction_is_an_action_that_consents_know(interaction):
    """None is left out, and what changes a record is more than a look at it."""
    found = actions_of(Question(interaction, "Observation"))
    assert found <= {"access", "collect", "use", "disclose", "correct"}
    writes = {Interaction.CREATE: {"collect"}, Interaction.UPDATE: {"correct"}, Interaction.DELETE: {"correct"}}
    exports = {Interaction.EXPORT: {"disclose"}, Interaction.DEIDENTIFY: {"use"}}
    patches = {Interaction.PATCH: {"access", "correct"}}
    assert found == (writes | exports | patches).get(interaction, found)
    assert found


def test_the_request_that_a_consent_sees():
    """Person, organisations and what the store adds; purpose as declared, none where none is."""
    who = caller(Role.NURSE, fhir_user="Practitioner/a", organisations=frozenset({"Organization/o"}), purpose="")
    ask = ask_of(who, "access", 5, frozenset({"Group/g"}))
    assert ask.actors == {"Practitioner/a", "Organization/o", "Group/g"}
    assert (ask.purposes, ask.now, ask.clinical, ask.may_break_glass) == (frozenset(), 5, True, False)
    assert not ask_of(caller(Role.BILLING), "access", 5).clinical
    assert not ask.records_consents
    assert ask_of(caller(Role.CONSENT_RECORDER), "access", 5).records_consents


RECIPIENT = {"coding": [{"system": f"{form.HL7}v3-ParticipationType", "code": "IRCP"}]}


def by_identifier(system, value):
    """An actor that is no resource."""
    return {"role": RECIPIENT, "reference": {"type": "Device", "identifier": {"system": system, "value": value}}}


def test_apps_and_links_are_callers():
    """An app by its client id, a link by its own; a link is no app, whatever its opener calls themselves."""
    assert callers(caller(Role.CLINICIAN, client="x")) == {"app:x"}
    assert callers(caller(Role.CLINICIAN)) == frozenset()
    assert callers(caller(Role.LINK, client="x")) == {"link:a"}
    assert "app:x" in ask_of(caller(Role.BACKEND, client="x"), "access", 5).actors


def test_what_a_link_may_show_at_most():
    """Of all consents the permits that name it, with what their root demands; denies and other rules are left out."""
    consent = form.consent({"provision": {"type": "permit", "purpose": ["TREAT"]}})
    own = {"type": "permit", "actor": [by_identifier("urn:medlock:share-link", "a")]}
    other = {"type": "permit", "actor": [by_identifier("urn:medlock:share-link", "b")]}
    deny = {"type": "deny", "actor": [by_identifier("urn:medlock:share-link", "a")]}
    consent["provision"]["provision"] = [other, own, deny]
    dissent = form.consent({"provision": {"type": "deny"}}, 1)
    dissent["provision"]["provision"] = [own]
    found = naming_of([read(consent), read(dissent)], frozenset({"link:a"}))
    assert [each.id for each in found] == ["c0"]
    assert found[0].root.actors == frozenset()
    assert found[0].root.purposes == {"TREAT"}
    assert [each.path for each in found[0].root.children] == ["provision.provision[1]"]
