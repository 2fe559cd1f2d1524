"""What a patient shares, keeps back and withdraws, at the door; nothing but their own Consent says so."""

import asyncio
import json
import random

import pytest

from acceptance.verifier import offline
from consent import form, worlds
from medlock.access.consent.book import Book
from medlock.access.consent.policy import Policy
from medlock.access.consent.reading import read
from medlock.access.consent.refusing import refusals
from medlock.access.consent.ruling import Ruling, Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.errors import Denied, MedlockError, NotFound, Unavailable, Unprocessable
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction
from medlock.rights import sharing
from medlock.rights.links import LinkWish
from medlock.rights.shares import CLASSES, Span, Wish, provision_of, share_of, shares_of
from medlock.rights.sharing import SHARES_MAX
from records.world import ids, loader, patient
from rights.world import ANN, BOB, OTHER, OWN, ann, bob, clinician, open_clinic, registration

NORMAL = ("normal",)


async def test_given_to_a_person_and_taken_back(clinic):
    """One act each; it holds from the next request on, for that person and that class of data."""
    assert not await clinic.sees(ann)
    share, standing = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,), data=NORMAL))
    assert standing.version == "1"
    assert await clinic.sees(ann)
    assert not await clinic.sees(ann, "Observation/hiv")
    assert not await clinic.sees(bob)
    after = await clinic.rights.sharing.withdraw(OWN, share.id)
    assert (after.version, after.shares) == ("2", ())
    assert not await clinic.sees(ann)
    with pytest.raises(NotFound):
        await clinic.rights.sharing.withdraw(OWN, share.id)
    assert await offline(clinic.world.directory).verify() == []


async def test_given_to_a_team_a_role_and_an_organisation(clinic):
    """Whoever belongs to it, as of now."""
    world = clinic.world
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": ANN}}
    await world.put({**role, "organization": {"reference": "Organization/org"}})
    team = {"resourceType": "CareTeam", "id": "t", "subject": {"reference": "Patient/p"}}
    await world.put({**team, "participant": [{"member": {"reference": ANN}}]})
    for recipient in ("CareTeam/t", "PractitionerRole/r", "Organization/org"):
        share, _ = await clinic.rights.sharing.grant(OWN, Wish(recipients=(recipient,)))
        assert await clinic.sees(ann), recipient
        assert not await clinic.sees(bob)
        await clinic.rights.sharing.withdraw(OWN, share.id)
        assert not await clinic.sees(ann)


async def test_given_to_an_app_and_kept_from_one(tmp_path):
    """Whoever uses it; the same person with another app is not meant. An app that is not registered is refused."""
    clinic = await open_clinic(tmp_path / "data")
    client, _ = await clinic.desk.clients.register(registration(), "test")
    with_app, with_other = clinician(ANN, client=client.id), clinician(ANN, client="other")
    share, _ = await clinic.rights.sharing.grant(OWN, Wish(recipients=(f"app:{client.id}",)))
    assert await clinic.sees(with_app)
    assert not await clinic.sees(with_other)
    assert not await clinic.sees(ann)
    await clinic.rights.sharing.withdraw(OWN, share.id)
    await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    await clinic.rights.sharing.grant(OWN, Wish(decision="deny", recipients=(f"app:{client.id}",)))
    assert not await clinic.sees(with_app)
    assert await clinic.sees(with_other)
    with pytest.raises(Unprocessable):
        await clinic.rights.sharing.grant(OWN, Wish(recipients=("app:nobody",)))
    await clinic.close()


async def test_kept_from_somebody_where_everything_is_open(tmp_path):
    """A deny takes away, for a person or a class of data; without it all is as before."""
    clinic = await open_clinic(tmp_path / "data", Policy.PERMIT_ALL)
    first, _ = await clinic.rights.sharing.grant(OWN, Wish(decision="deny", recipients=(BOB,)))
    second, _ = await clinic.rights.sharing.grant(OWN, Wish(decision="deny", data=("hiv",)))
    assert not await clinic.sees(bob)
    assert await clinic.sees(ann)
    assert not await clinic.sees(ann, "Observation/hiv")
    assert await clinic.sees(ann, "Observation/psy")
    assert await clinic.sees(OWN, "Observation/hiv")
    for each in (first, second):
        await clinic.rights.sharing.withdraw(OWN, each.id)
    assert await clinic.sees(bob)
    assert await clinic.sees(ann, "Observation/hiv")
    await clinic.close()


async def test_a_permit_takes_nothing_away(tmp_path):
    """Where the site permits, sharing one class with somebody hides no other from them."""
    clinic = await open_clinic(tmp_path / "data", Policy.PERMIT_ALL)
    await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,), data=NORMAL))
    assert await clinic.sees(ann, "Observation/hiv")
    assert await clinic.sees(bob)
    await clinic.close()


async def test_purposes_and_periods_bind(clinic):
    """Only for what it was given for, and only while it is."""
    await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,), purposes=("HRESCH",)))
    assert not await clinic.sees(ann)
    assert await clinic.sees(clinician(ANN, purpose="HRESCH"))
    for start, end in (("2000-01-01", "2001-01-01"), ("2100-01-01", "2101-01-01")):
        await clinic.rights.sharing.grant(OWN, Wish(recipients=(BOB,), period=Span(start, end)))
    assert not await clinic.sees(bob)
    await clinic.rights.sharing.grant(OWN, Wish(recipients=(BOB,), period=Span(end="2100-01-01")))
    assert await clinic.sees(bob)


async def test_a_withdrawal_stops_pages_and_exports(clinic):
    """The next page of a search that began before, and the next piece of an export that is running."""
    backend = mint_principal(
        "b", frozenset({Role.BACKEND}), parse_scopes("system/*.rs"), organisations=frozenset({"Organization/org"})
    )
    share, _ = await clinic.rights.sharing.grant(
        OWN, Wish(recipients=(ANN, "Organization/org"), purposes=("TREAT", "HOPERAT"))
    )
    first = await clinic.world.search(ann, "Observation", "patient=p&_count=1")
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    options = ExportOptions(types=frozenset({"Observation"}), part=ExportPart("Observation"))
    before = await clinic.world.ask(backend, Interaction.EXPORT, "Patient", options=options)
    assert len(before.body.splitlines()) == 4
    await clinic.rights.sharing.withdraw(OWN, share.id)
    line = following.partition("/fhir")[2]
    assert not ids(json.loads((await clinic.world.send(ann, f"GET {line}")).body))
    after = await clinic.world.ask(backend, Interaction.EXPORT, "Patient", options=options)
    assert not after.body


@pytest.mark.parametrize(
    "who",
    [
        ann,
        mint_principal("d", frozenset({Role.CONSENT_RECORDER}), parse_scopes("user/*.crus")),
        mint_principal("s", frozenset({Role.SECURITY_ADMIN}), parse_scopes("user/*.rs")),
        mint_principal("c", frozenset({Role.CLINICIAN}), parse_scopes("patient/*.cruds"), patient="p"),
        mint_principal("b", frozenset({Role.BACKEND}), parse_scopes("system/*.cruds")),
        patient("p", "patient/Observation.rs"),
        patient("p", "patient/*.rs"),
    ],
    ids=["clinician", "recorder", "admin", "clinician-held", "program", "no-scope", "read-only"],
)
async def test_nobody_else_decides(clinic, who):
    """Not by this way, whatever else they may; nor an app of the patient's that may not write consents."""
    with pytest.raises(Denied):
        await clinic.rights.sharing.grant(who, Wish(recipients=(ANN,)))
    assert not await clinic.sees(ann)


async def test_each_patient_has_their_own(clinic):
    """What one shares or withdraws changes nothing of another's."""
    share, _ = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    assert (await clinic.rights.sharing.standing(OTHER)).shares == ()
    with pytest.raises(NotFound):
        await clinic.rights.sharing.withdraw(OTHER, share.id)
    with pytest.raises(NotFound):
        await clinic.rights.receipt(OTHER, share.id)
    await clinic.rights.sharing.grant(OTHER, Wish(recipients=(BOB,)))
    assert await clinic.sees(ann)
    assert not await clinic.sees(ann, "Observation/q1")


async def test_who_stands_in_for_a_patient_decides(clinic):
    """A representative is the performer, while they are in force."""
    related = {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/p"}}
    await clinic.world.put(related)
    scopes = parse_scopes("patient/*.rs patient/Consent.crus")
    proxy = mint_principal("m", frozenset({Role.PATIENT}), scopes, patient="p", fhir_user="RelatedPerson/r")
    share, standing = await clinic.rights.sharing.grant(proxy, Wish(recipients=(ANN,)))
    consent = await clinic.world.read(OWN, f"Consent/{standing.consent}")
    assert consent["performer"] == [{"reference": "RelatedPerson/r"}]
    assert (await clinic.rights.receipt(OWN, share.id))["receipt"]["consent"]["givenBy"] == ["RelatedPerson/r"]
    await clinic.world.put({**related, "active": False})
    with pytest.raises(Denied):
        await clinic.rights.sharing.grant(proxy, Wish(recipients=(BOB,)))


@pytest.mark.parametrize("before", [0, 1])
async def test_many_at_once_are_all_made(clinic, before):
    """Eight rules at the same moment, the first ones of a patient as well: all stand, each in a version of its own."""
    for _ in range(before):
        await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    wishes = [Wish(recipients=(ANN,), period=Span(end=f"20{30 + n}-01-01")) for n in range(8)]
    made = await asyncio.gather(*(clinic.rights.sharing.grant(OWN, each) for each in wishes))
    standing = await clinic.rights.sharing.standing(OWN)
    assert len(standing.shares) == 8 + before
    assert {share.id for share, _ in made} <= {each.id for each in standing.shares}
    active = await clinic.world.search(OWN, "Consent", "status=active")
    assert active["total"] == 1


async def test_two_processes_make_one_consent(tmp_path):
    """The first rules of a patient, given through two processes at once."""
    one = await open_clinic(tmp_path / "data")
    two = await open_clinic(tmp_path / "data", fresh=False)
    for _ in range(3):
        await asyncio.gather(
            *(each.rights.sharing.grant(OWN, Wish(recipients=(who,))) for each in (one, two) for who in (ANN, BOB))
        )
    assert len((await one.rights.sharing.standing(OWN)).shares) == 12
    assert (await two.world.search(OWN, "Consent", ""))["total"] == 1
    assert await two.sees(ann)
    await one.close()
    await two.close()


WRONG = {
    "nobody": Wish(),
    "unknown class": Wish(recipients=(ANN,), data=("everything",)),
    "deny normal": Wish(decision="deny", data=NORMAL),
    "no reference": Wish(recipients=("ann",)),
    "an app without a name": Wish(recipients=("app:",)),
    "a link": Wish(recipients=("link:x",)),
    "missing": Wish(recipients=("Practitioner/none",)),
    "elsewhere": Wish(recipients=("https://other.example/fhir/Practitioner/1",)),
    "a device": Wish(recipients=("Device/d",)),
    "unknown purpose": Wish(recipients=(ANN,), purposes=("FUN",)),
    "backwards": Wish(recipients=(ANN,), period=Span("2031-01-01", "2030-01-01")),
    "no date": Wish(recipients=(ANN,), period=Span("soon")),
    "types": Wish(recipients=(ANN,), types=("Observation",)),
}


@pytest.mark.parametrize("wish", WRONG.values(), ids=WRONG)
async def test_what_cannot_be_enforced_is_refused(clinic, wish):
    """422 with the place, and nothing is written."""
    with pytest.raises(Unprocessable) as told:
        await clinic.rights.sharing.grant(OWN, wish)
    assert told.value.problems
    assert (await clinic.rights.sharing.standing(OWN)).consent == ""


async def test_there_is_an_end_to_rules(clinic):
    """So many rules, and the next is refused with what to do."""
    assert SHARES_MAX == 200
    try:
        sharing.SHARES_MAX = 2
        for _ in range(2):
            await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
        with pytest.raises(MedlockError, match="Withdraw"):
            await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    finally:
        sharing.SHARES_MAX = SHARES_MAX


def wish_of(chance):
    """Any wish that makes sense."""
    deny = chance.random() < 0.5
    people = worlds.some(chance, [*worlds.ACTORS[:4], "app:x"], 3)
    return Wish(
        "deny" if deny else "permit",
        () if deny and chance.random() < 0.3 else tuple(people),
        tuple(worlds.some(chance, ["TREAT", "HRESCH", "BTG", "HPAYMT"])) if chance.random() < 0.7 else (),
        tuple(worlds.some(chance, [each for each in CLASSES if not deny or each != "normal"], 3))
        if chance.random() < 0.6
        else (),
        (),
        Span(**worlds.period(chance)) if chance.random() < 0.3 else Span(),
        Span(**worlds.period(chance)) if chance.random() < 0.3 else Span(),
    )


def sharing_consent(shares):
    """A Consent of sharing as it is written."""
    found = form.consent({"provision": {"type": "permit", "actor": ["Patient/p"]}}, 99)
    found["provision"] |= {"provision": [provision_of(each) for each in shares]} if shares else {}
    return found


def test_a_rule_is_read_as_it_was_written():
    """Round trip over random rules; each is a provision that PCF takes and the engine reads whole."""
    chance = random.Random(7)
    for number in range(2_000):
        share = share_of(wish_of(chance), f"s{number}")
        (back,) = shares_of(sharing_consent([share]))
        assert sorted(back.data) == sorted(set(share.data))
        assert back == type(share)(
            **{each: getattr(share, each) for each in share.__struct_fields__} | {"data": back.data}
        )
        assert not refusals(sharing_consent([share]))
        assert not read(sharing_consent([share])).broken


def test_given_and_taken_back_is_as_before():
    """Over random consents, requests and resources: without its rules the Consent decides nothing at all."""
    chance = random.Random(11)
    for _ in range(3_000):
        consents = [each for each in map(read_, worlds.consents(chance)) if each is not None]
        request, resource = form.ask(worlds.request(chance)), form.facts(worlds.resource(chance))
        site = Site(chance.choice(list(Policy)), form.PURPOSES, extended=True)
        empty = read_(sharing_consent([]))
        before = Ruling(Book("p", consents), request, site).decide(resource).permit
        assert Ruling(Book("p", [*consents, empty]), request, site).decide(resource).permit is before


def read_(resource):
    return read(resource, form.PURPOSES)


def test_a_permit_only_adds_and_a_deny_only_takes():
    """Whatever else is there: a permit turns no yes into a no, a deny no no into a yes.

    Consents themselves aside: they are not shown to whom a rule lets see some data and not other (docs/consent.md).
    """
    chance = random.Random(13)
    changed = {"permit": 0, "deny": 0}
    for number in range(6_000):
        consents = [each for each in map(read_, worlds.consents(chance)) if each is not None]
        request, resource = form.ask(worlds.request(chance)), form.facts(worlds.resource(chance))
        site = Site(chance.choice(list(Policy)), form.PURPOSES, extended=True)
        share = share_of(wish_of(chance), f"s{number}")
        if resource.type == "Consent":
            continue
        before = Ruling(Book("p", consents), request, site).decide(resource).permit
        with_it = [*consents, read_(sharing_consent([share]))]
        after = Ruling(Book("p", with_it), request, site).decide(resource).permit
        changed[share.decision] += after is not before
        assert after >= before if share.decision == "permit" else after <= before
    assert min(changed.values()) > 20


async def test_a_server_without_clearance_keeps_no_list(clinic, tmp_path):
    """Over one store: it says where sharing is kept, and makes no second Consent; the other goes on as before."""
    share, _ = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,), data=("hiv",)))
    common = await open_clinic(tmp_path / "data", fresh=False, clearance="normal")
    rights = common.rights
    for act in (
        rights.sharing.standing(OWN),
        rights.sharing.grant(OWN, Wish(recipients=(ANN,))),
        rights.sharing.withdraw(OWN, share.id),
        rights.links.make(OWN, LinkWish()),
        rights.receipt(OWN, share.id),
    ):
        with pytest.raises(Unavailable, match="other server"):
            await act
    assert [held async for held in common.rows.links.every()] == []
    standing = await clinic.rights.sharing.withdraw(OWN, share.id)
    assert standing.shares == ()
    await common.close()


async def test_consents_side_by_side_are_one_list(clinic):
    """Of two that are active every rule is shown, and withdrawn where it stands."""
    first, standing = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    consent = await clinic.world.read(OWN, f"Consent/{standing.consent}")
    rule = {**consent["provision"]["provision"][0], "id": "second"}
    copy = {**consent, "provision": {**consent["provision"], "provision": [rule]}}
    del copy["id"], copy["meta"]
    clinic.world.clock.ms += 1_000
    await clinic.world.send(OWN, "POST /Consent", copy)
    assert {each.id for each in (await clinic.rights.sharing.standing(OWN)).shares} == {first.id, "second"}
    third, standing = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    assert {each.id for each in standing.shares} == {first.id, "second", third.id}
    for id_, left in ((first.id, {"second", third.id}), ("second", {third.id}), (third.id, set())):
        after = await clinic.rights.sharing.withdraw(OWN, id_)
        assert {each.id for each in after.shares} == left
        assert {each.id for each in (await clinic.rights.sharing.standing(OWN)).shares} == left
    assert not await clinic.sees(ann)


async def test_nobody_else_writes_what_the_patient_decided(clinic):
    """Receipts say that the patient did it: a desk, or a program, may end their sharing, and not add to it."""
    _, standing = await clinic.rights.sharing.grant(OWN, Wish(recipients=(ANN,)))
    consent = await clinic.world.read(OWN, f"Consent/{standing.consent}")
    fresh = {name: value for name, value in consent.items() if name not in {"id", "meta"}}
    desk = mint_principal("desk", frozenset({Role.CONSENT_RECORDER}), parse_scopes("user/*.cruds"))
    for who in (desk, loader()):
        with pytest.raises(Denied):
            await clinic.world.send(who, "POST /Consent", fresh)
        with pytest.raises(Denied):
            await clinic.world.put({**consent, "language": "de"}, who)
    await clinic.world.put({**consent, "status": "inactive"}, desk)
    assert not await clinic.sees(ann)
