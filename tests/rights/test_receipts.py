"""Receipts: what a version of the Consent says, in Kantara's names, signed."""

import json

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.crypto.jose import key_set, peek
from medlock.errors import NotFound, SetupError
from medlock.rights.links import LinkWish
from medlock.rights.receipts import TYPE
from medlock.rights.shares import Span, Wish
from rights.world import ANN, OWN, open_clinic

REQUIRED = {
    *("version", "jurisdiction", "consentTimestamp", "collectionMethod", "consentReceiptID", "language"),
    *("piiPrincipalId", "piiControllers", "policyUrl", "services", "sensitive", "spiCat", "publicKey"),
}


async def checked(clinic, id_):
    """The receipt, once its signature is seen to be ours and to say the same."""
    given = await clinic.rights.receipt(OWN, id_)
    header, claims = peek(given["jws"])
    keys = key_set(await clinic.desk.keys.published())
    keys.one(header["kid"], "RS256").verify(given["jws"], "RS256")
    assert header["typ"] == TYPE
    assert claims == given["receipt"]
    assert json.loads(given["receipt"]["publicKey"])["kid"] == header["kid"]
    return given["receipt"]


async def test_a_receipt_says_what_was_given(tmp_path):
    """Every field of the specification, with controller, law and policy as the operator set them."""
    clinic = await open_clinic(
        tmp_path / "data", controller="Organization/org", jurisdiction="DE", privacy_policy="https://clinic.example/p"
    )
    wish = Wish(recipients=(ANN,), purposes=("TREAT", "HRESCH"), data=("normal", "hiv"), period=Span(end="2030-01-01"))
    share, standing = await clinic.rights.sharing.grant(OWN, wish)
    receipt = await checked(clinic, share.id)
    assert receipt.keys() >= REQUIRED
    assert all(receipt[each] for each in REQUIRED)
    assert receipt["version"] == "KI-CR-v1.1.0"
    assert (receipt["jurisdiction"], receipt["policyUrl"]) == ("DE", "https://clinic.example/p")
    assert receipt["piiControllers"][0]["piiController"] == "Clinic"
    assert receipt["piiControllers"][0]["email"] == "privacy@clinic.example"
    purposes = receipt["services"][0]["purposes"]
    assert [each["purposeCategory"] for each in purposes] == [["TREAT"], ["HRESCH"]]
    assert all(each["piiCategory"] == ["normal", "hiv"] and each["termination"] == "2030-01-01" for each in purposes)
    detail = receipt["consent"]
    assert (detail["state"], detail["version"], detail["rule"]) == ("given", standing.version, share.id)
    assert detail["withdrawal"] == {"method": f"DELETE https://localhost:8443/sharing/{share.id}"}
    consent = await clinic.world.read(OWN, f"Consent/{standing.consent}")
    assert consent["organization"] == [{"reference": "Organization/org"}]
    await clinic.close()


async def test_receipts_follow_the_versions(clinic):
    """Other rules later change the version, not the time of consent; a withdrawal is said with its time, and stays."""
    share, first = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    begun = await checked(clinic, share.id)
    clinic.world.clock.ms += 60_000
    await clinic.rights.sharing.grant(OWN, Wish(decision="deny", data=("hiv",)))
    later = await checked(clinic, share.id)
    assert (begun["consent"]["version"], later["consent"]["version"]) == ("1", "2")
    assert begun["consentTimestamp"] == later["consentTimestamp"]
    assert begun["consentReceiptID"] != later["consentReceiptID"]
    clinic.world.clock.ms += 60_000
    ended = await clinic.rights.sharing.withdraw(OWN, share.id)
    for _ in range(2):
        gone = await checked(clinic, share.id)
        assert gone["consent"]["state"] == "withdrawn"
        assert gone["consent"]["withdrawal"]["withdrawnAt"] == ended.updated
        assert gone["consentReceiptID"] not in {begun["consentReceiptID"], later["consentReceiptID"]}
        await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    assert first.version == "1"


async def test_what_was_refused_and_links_have_receipts(clinic):
    """A deny is a consent that was refused; a link is one that was given. Of nothing there is none."""
    share, _ = await clinic.rights.sharing.grant(OWN, Wish(decision="deny", data=("hiv",)))
    refused = await checked(clinic, share.id)
    assert refused["consent"]["state"] == "refused"
    assert refused["services"][0]["purposes"][0]["thirdPartyDisclosure"] is False
    made = await clinic.rights.links.make(OWN, LinkWish())
    assert (await checked(clinic, made.id))["consent"]["recipients"] == [f"link:{made.id}"]
    await clinic.rights.links.end(OWN, made.id)
    assert (await checked(clinic, made.id))["consent"]["state"] == "withdrawn"
    with pytest.raises(NotFound):
        await clinic.rights.receipt(OWN, "none")


async def test_a_controller_is_an_organization_here(tmp_path):
    """Anything else stops the start."""
    with pytest.raises(SetupError):
        await open_clinic(tmp_path / "data", controller="the clinic")


async def test_a_receipt_names_who_gave_the_rule(clinic):
    """Not who changed another rule after that: the performer of the version in which it began."""
    subject = {"reference": "Patient/p"}
    await clinic.world.put({"resourceType": "RelatedPerson", "id": "r", "patient": subject, "active": True})
    scopes = parse_scopes("patient/*.rs patient/Consent.crus")
    roles = frozenset({Role.PATIENT})
    proxy = mint_principal("proxy", roles, scopes, patient="p", fhir_user="RelatedPerson/r")
    share, _ = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    other, _ = await clinic.rights.sharing.grant(proxy, Wish(recipients=(ANN,)))
    assert (await checked(clinic, share.id))["consent"]["givenBy"] == ["Patient/p"]
    assert (await checked(clinic, other.id))["consent"]["givenBy"] == ["RelatedPerson/r"]
