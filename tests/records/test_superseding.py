"""A new consent about the same ends the older one: same patient, organisation, policy and scope, in one commit."""

import json

import pytest

from acceptance.verifier import offline
from consent import form
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.errors import Denied, NotFound
from medlock.records import superseding, write
from records.world import ids, open_world, patient

ORGANISATION = {"organization": [{"reference": "Organization/org"}]}
DENY = {"provision": {"type": "deny"}}
PERMIT = {"provision": {"type": "permit"}}
OWN = patient("p", "patient/*.rs patient/Consent.crus")
recorder = mint_principal("desk", frozenset({Role.CONSENT_RECORDER}), parse_scopes("user/*.crus"))
bob = mint_principal(
    "bob", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"), purpose="TREAT", fhir_user="Practitioner/bob"
)


@pytest.fixture
async def world(tmp_path):
    """Two patients, an organisation and another, something to read."""
    opened = await open_world(tmp_path / "data")
    for id_ in ("p", "q"):
        await opened.put({"resourceType": "Patient", "id": id_})
    for id_ in ("org", "other"):
        await opened.put({"resourceType": "Organization", "id": id_, "name": id_})
    subject = {"reference": "Patient/p"}
    await opened.put(
        {"resourceType": "Observation", "id": "o1", "status": "final", "code": {"text": "x"}, "subject": subject}
    )
    yield opened
    await opened.close()


def said(short, **more):
    """A consent towards the organisation, without an id."""
    found = form.consent(short) | ORGANISATION | more
    del found["id"]
    return found


async def record(world, consent, who=OWN):
    """Record it; its id."""
    shown = await world.send(who, "POST /Consent", consent)
    assert shown.status == 201
    return json.loads(shown.body)["id"]


async def status(world, id_):
    """The status that a consent has now."""
    return (await world.read(OWN, f"Consent/{id_}"))["status"]


async def sees(world):
    """Whether a clinician reads the record."""
    return "Observation/o1" in ids(await world.search(bob, "Observation", "patient=p"))


async def test_the_older_one_ends_and_a_provenance_says_so(world):
    """V12: 201; the older one is inactive, with its history; a Provenance names the new one and what it revises."""
    first = await record(world, said(DENY))
    assert not await sees(world)
    second = await record(world, said(PERMIT), OWN)
    assert await sees(world)
    assert (await status(world, first), await status(world, second)) == ("inactive", "active")
    history = json.loads((await world.send(OWN, f"GET /Consent/{first}/_history")).body)
    assert [each["resource"]["status"] for each in history["entry"]] == ["inactive", "active"]
    found = await world.search(OWN, "Provenance", f"target=Consent/{second}")
    (entry,) = found["entry"]
    assert entry["resource"]["entity"] == [{"role": "revision", "what": {"reference": f"Consent/{first}/_history/1"}}]
    assert await offline(world.directory).verify() == []


async def test_the_desk_may_record_a_change_of_mind(world):
    """Who has that task replaces what the patient said before, where no consent keeps it from them."""
    first = await record(world, said(PERMIT), recorder)
    second = await record(world, said(DENY), recorder)
    assert (await status(world, first), await status(world, second)) == ("inactive", "active")


OTHERS = {
    "organisation": {"organization": [{"reference": "Organization/other"}]},
    "policy": {"policy": [{"uri": "https://clinic.example/research"}]},
    "scope": {"scope": form.consent({"scope": "research", **PERMIT})["scope"]},
    "none": {"organization": []},
    "draft": {"status": "proposed"},
}


@pytest.mark.parametrize("other", OTHERS)
async def test_what_is_about_something_else_stays(world, other):
    """Another organisation, policy or scope, none named, or not in force yet: the older one goes on."""
    more = {name: value for name, value in OTHERS[other].items() if value}
    body = said(PERMIT, **more)
    if other == "none":
        del body["organization"]
    first = await record(world, said(DENY))
    await record(world, body)
    assert await status(world, first) == "active"
    assert not await sees(world)


async def test_another_patients_consent_stays(world):
    """The same words of somebody else end nothing."""
    first = await record(world, said(DENY))
    other = patient("q", "patient/*.rs patient/Consent.crus")
    await record(world, said({**PERMIT, "patient": "q"}), other)
    assert await status(world, first) == "active"


async def test_making_active_and_changing_end_too_but_a_mere_correction_does_not(world):
    """What counts is that something is newly said: a draft made active ends the older one, a second update nothing."""
    first = await record(world, said(DENY))
    draft = await record(world, said(PERMIT, status="proposed"))
    await world.put({**said(PERMIT), "id": draft}, OWN)
    assert await status(world, first) == "inactive"
    await world.put({**said(PERMIT), "id": draft, "dateTime": "2026-01-01"}, OWN)
    assert len((await world.search(OWN, "Provenance", f"target=Consent/{draft}"))["entry"]) == 1


async def test_in_a_transaction_and_by_a_patch(world):
    """On every way that a consent is written; two of one transaction stand beside each other."""
    first = await record(world, said(DENY))
    post = {"method": "POST", "url": "Consent"}
    await world.transact(
        [{"request": post, "resource": said(PERMIT)}, {"request": post, "resource": said(PERMIT)}], OWN
    )
    assert await status(world, first) == "inactive"
    assert len((await world.search(OWN, "Consent", "status=active"))["entry"]) == 2
    patch = json.dumps([{"op": "replace", "path": "/status", "value": "active"}]).encode()
    await world.send(OWN, f"PATCH /Consent/{first}", patch, content_type="application/json-patch+json")
    active = await world.search(OWN, "Consent", "status=active")
    assert ids(active) == {f"Consent/{first}"}


async def test_who_may_only_add_consents_ends_none(world):
    """An app that may create and not update is refused, whether there is an older one or not."""
    adder = patient("p", "patient/*.rs patient/Consent.c")
    for body in (said(PERMIT), said(PERMIT)):
        with pytest.raises(Denied):
            await world.send(adder, "POST /Consent", body)
        await record(world, said(DENY))
    assert not await sees(world)


async def test_a_scope_of_some_consents_ends_no_others(world):
    """What the caller may not change goes on denying."""
    kind = {"coding": [{"system": "http://loinc.org", "code": "64292-6"}]}
    first = await record(world, said(DENY, category=[kind]))
    some = patient("p", "patient/Consent.crus?category=http://loinc.org|59284-0")
    await record(world, said(PERMIT), some)
    assert await status(world, first) == "active"
    assert not await sees(world)


async def test_two_at_once_leave_one(world, monkeypatch):
    """Another process records the same between the look and the commit: it is begun anew, and one is left in force."""
    real, tries = superseding._older, []

    async def older(context, draft, subject):
        found = await real(context, draft, subject)
        tries.append(len(found))
        if len(tries) == 1:
            monkeypatch.setattr(superseding, "_older", real)
            await record(world, said(DENY))
        return found

    monkeypatch.setattr(superseding, "_older", older)
    last = await record(world, said(PERMIT))
    assert tries == [0]
    assert ids(await world.search(OWN, "Consent", "status=active")) == {f"Consent/{last}"}


async def test_a_conditional_create_by_a_patient_makes_one(world, monkeypatch):
    """If-None-Exist of who is held to a record: what joins it between look and commit makes it look again."""
    real, between = write.existing, []

    async def existing(context, query):
        found = await real(context, query)
        if not between:
            between.append(1)
            await record(world, said(DENY))
        return found

    monkeypatch.setattr(write, "existing", existing)
    shown = await world.send(OWN, "POST /Consent", said(PERMIT), if_none_exist="status=active")
    assert shown.status == 200
    assert len((await world.search(OWN, "Consent", ""))["entry"]) == 1


async def test_its_provenance_tells_nobody_from_whom_consents_are_hidden(world):
    """Who may see some data and not other sees neither consents nor where they came from; all else of its kind they do."""
    subject = {"reference": "Patient/p"}
    await world.put({"resourceType": "Practitioner", "id": "bob"})
    agent = [{"who": {"reference": "Practitioner/bob"}}]
    note = {"target": [{"reference": "Observation/o1"}], "recorded": "2026-01-01T00:00:00Z", "agent": agent}
    await world.put({"resourceType": "Provenance", "id": "of-o1", **note})
    await record(world, said(PERMIT))
    last = await record(
        world, said({"provision": {"type": "permit", "provision": [{"type": "deny", "securityLabel": ["HIV"]}]}})
    )
    (entry,) = (await world.search(OWN, "Provenance", f"target=Consent/{last}"))["entry"]
    hidden = f"Provenance/{entry['resource']['id']}"
    assert ids(await world.search(bob, "Provenance", "target=Observation/o1")) == {"Provenance/of-o1"}
    assert (await world.search(bob, "Provenance", f"target=Consent/{last}"))["total"] == 0
    with pytest.raises(NotFound):
        await world.read(bob, hidden)
    everything = json.loads((await world.send(bob, "GET /Patient/p/$everything?_count=100")).body)
    assert hidden not in ids(everything)
    assert "Observation/o1" in ids(everything)
    assert subject["reference"] in ids(everything)


async def test_two_in_one_transaction_while_another_comes_in(world, monkeypatch):
    """What came in after the first of them was looked at is seen by the commit, and ends: the smaller number counts."""
    other, real, late = await open_world(world.directory), superseding._older, []

    async def _older(context, draft, subject):
        found = await real(context, draft, subject)
        if not late:
            late.append("")
            late[0] = await record(other, said(PERMIT))
        return found

    monkeypatch.setattr(superseding, "_older", _older)
    there = {"organization": [{"reference": "Organization/other"}]}
    made = [said(DENY), said(DENY) | there]
    entries = [{"resource": each, "request": {"method": "POST", "url": "Consent"}} for each in made]
    await world.send(OWN, "POST /", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert await status(world, late[0]) == "inactive"
    await other.close()
