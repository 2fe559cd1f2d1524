"""Share links: opened by who has address and passcode, as often as they may be, and by nobody else."""

import asyncio
import json
import zlib
from base64 import urlsafe_b64decode

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from acceptance.verifier import offline
from consent import form
from medlock.access.consent.policy import Policy
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.audit.search import AuditQuery
from medlock.errors import BadRequest, Denied, NotFound, TooLarge, Unavailable, Unprocessable
from medlock.fhir.bundle import NO_REDISCLOSURE, NOTICE
from medlock.identity.account import Account, Proxy, Status
from medlock.oauth.people import Person, Standing, person_of
from medlock.oauth.sharelinks import forget_all
from medlock.records.shred import Shredder
from medlock.rights.links import SECONDS_MAX, LinkWish
from medlock.rights.opening import ATTEMPTS, STRANGE_SECONDS, TICKET_SECONDS, LinkRefused, Manifest
from medlock.rights.shares import Wish
from medlock.rights.sharing import LINKS_MAX
from medlock.store.tables import Batch, Table
from records.world import officer, patient
from rights.world import OTHER, OWN, ann, open_clinic

DOCTOR = "Dr. Far Away"


def decoded(text):
    """Base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def payload(made):
    """What stands in a `shlink:`."""
    assert made.link.startswith("shlink:/")
    return json.loads(decoded(made.link.removeprefix("shlink:/")))


def name(made):
    """What follows /shl/ in its address."""
    return payload(made)["url"].rpartition("/")[2]


def opened(made, manifest):
    """The Bundle in a manifest: RFC 7516 by hand, as a receiver without our code would do it."""
    (file,) = manifest["files"]
    header, key, nonce, ciphertext, tag = file["embedded"].split(".")
    assert key == ""
    said = json.loads(decoded(header))
    assert (said["alg"], said["enc"], said["zip"]) == ("dir", "A256GCM", "DEF")
    cipher = AESGCM(decoded(payload(made)["key"]))
    plain = cipher.decrypt(decoded(nonce), decoded(ciphertext) + decoded(tag), header.encode())
    return json.loads(zlib.decompress(plain, -15))


async def fetch(clinic, made, passcode=None, **more):
    """Open it; the references of what it shows."""
    asked = Manifest(DOCTOR, made.passcode if passcode is None else passcode, **more)
    bundle = opened(made, await clinic.rights.opening.open(name(made), asked))
    return {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]}


async def refused(clinic, address, passcode):
    """The attempts that are left after one that must fail."""
    with pytest.raises(LinkRefused) as told:
        await clinic.rights.opening.open(address, Manifest(DOCTOR, passcode))
    return told.value.left


async def failed(clinic, made):
    """How many attempts were wrong, as the owner's list says."""
    return await clinic.rights.opening.failed((await clinic.rights.links.held(made.id)).value)


ALL = {"Patient/p", "Observation/o1", "Observation/o2", "Observation/psy", "Observation/hiv", "Condition/c1"}


@pytest.mark.parametrize("policy", [Policy.DENY, Policy.PERMIT_ALL])
async def test_a_link_opens_once(tmp_path, policy):
    """The whole record but for what the patient decided, whatever the site's policy; then never again."""
    clinic = await open_clinic(tmp_path / "data", policy)
    made = await clinic.rights.links.make(OWN, LinkWish(label="For you"))
    said = payload(made)
    assert (said["flag"], said["v"], said["label"]) == ("P", 1, "For you")
    assert len(said["url"]) <= 128
    assert len(decoded(said["key"])) == 32
    assert await fetch(clinic, made) == ALL
    assert await refused(clinic, name(made), made.passcode) == ATTEMPTS - 1
    assert await offline(clinic.world.directory).verify() == []
    await clinic.close()


@pytest.mark.parametrize("policy", [Policy.DENY, Policy.PERMIT_ALL])
async def test_a_link_shows_what_it_shares(tmp_path, policy):
    """Classes of data, and types; another link's rules, or rules for people, add nothing to it."""
    clinic = await open_clinic(tmp_path / "data", policy)
    make = clinic.rights.links.make
    await make(OWN, LinkWish())
    await clinic.rights.sharing.grant(OWN, Wish(recipients=("Practitioner/ann",), purposes=("PATRQT", "TREAT")))
    normal, hiv = await make(OWN, LinkWish(data=("normal",))), await make(OWN, LinkWish(data=("hiv",)))
    conditions = await make(OWN, LinkWish(types=("Condition",)))
    assert await fetch(clinic, normal) == ALL - {"Observation/psy", "Observation/hiv"}
    assert await fetch(clinic, hiv) == {"Observation/hiv"}
    assert await fetch(clinic, conditions) == {"Condition/c1"}
    await clinic.close()


async def test_a_consent_that_permits_everybody_opens_no_more(clinic):
    """A link for normal data shows normal data, also where another consent permits everything to everybody."""
    consent = form.consent({"provision": {"type": "permit"}})
    del consent["id"]
    await clinic.world.send(OWN, "POST /Consent", consent)
    made = await clinic.rights.links.make(OWN, LinkWish(data=("normal",)))
    assert await fetch(clinic, made) == ALL - {"Observation/psy", "Observation/hiv"}


async def test_a_lasting_link_shows_what_is_there_then(clinic):
    """Opened again it shows what was written and what was denied meanwhile; ended, it shows nothing."""
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    assert payload(made)["flag"] == "LP"
    assert await fetch(clinic, made) == ALL
    await clinic.world.put({"resourceType": "Condition", "id": "c2", "subject": {"reference": "Patient/p"}})
    share, _ = await clinic.rights.sharing.grant(OWN, Wish(decision="deny", data=("hiv",)))
    assert await fetch(clinic, made) == (ALL | {"Condition/c2"}) - {"Observation/hiv"}
    await clinic.rights.sharing.withdraw(OWN, share.id)
    assert await fetch(clinic, made) == ALL | {"Condition/c2"}
    assert await failed(clinic, made) == 0
    await clinic.rights.links.end(OWN, made.id)
    await refused(clinic, name(made), made.passcode)
    assert await offline(clinic.world.directory).verify() == []


async def test_the_rule_alone_ends_a_link(clinic):
    """The Consent is the truth: a link whose rule is taken out of it by way of FHIR opens nothing."""
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    standing = await clinic.rights.sharing.standing(OWN)
    consent = await clinic.world.read(OWN, f"Consent/{standing.consent}")
    await clinic.world.put({**consent, "status": "inactive"}, OWN)
    await refused(clinic, name(made), made.passcode)
    await clinic.world.put(consent, OWN)
    assert await fetch(clinic, made) == ALL


async def test_of_fifty_at_once_one_opens_it(clinic, tmp_path):
    """A one-time link through two processes."""
    other = await open_clinic(tmp_path / "data", fresh=False)
    made = await clinic.rights.links.make(OWN, LinkWish())
    monkey = pytest.MonkeyPatch()
    monkey.setattr("medlock.rights.opening.ATTEMPTS", 1_000)
    both = [(clinic, other)[n % 2] for n in range(50)]
    results = await asyncio.gather(*(fetch(each, made) for each in both), return_exceptions=True)
    monkey.undo()
    shown = [each for each in results if not isinstance(each, BaseException)]
    assert shown == [ALL]
    assert all(isinstance(each, LinkRefused) for each in results if isinstance(each, BaseException))
    await other.close()


async def test_on_each_back_end(tmp_path, store):
    """Rules at once through two processes, withdrawn; a link opened at once, another guessed at once."""
    one = await open_clinic(tmp_path / "data", store=store)
    two = await open_clinic(tmp_path / "data", store=store, fresh=False)
    wish = Wish(recipients=("Practitioner/ann",))
    given = await asyncio.gather(*(each.rights.sharing.grant(OWN, wish) for each in (one, two, one, two)))
    assert await one.sees(ann)
    assert await two.sees(ann)
    for share, _ in given:
        await two.rights.sharing.withdraw(OWN, share.id)
    assert not await one.sees(ann)
    once = await one.rights.links.make(OWN, LinkWish())
    results = await asyncio.gather(*(fetch(each, once) for each in (one, two) * 4), return_exceptions=True)
    assert [each for each in results if not isinstance(each, LinkRefused)] == [ALL]
    guessed = await one.rights.links.make(OWN, LinkWish(lasting=True))
    one.hashing.looked = two.hashing.looked = 0
    await asyncio.gather(*(fetch(each, guessed, "wrong one") for each in (one, two) * 8), return_exceptions=True)
    assert one.hashing.looked + two.hashing.looked == ATTEMPTS
    await one.close()
    await two.close()


async def test_guesses_at_once_are_ten_in_all(clinic):
    """Fifty wrong passcodes at once: ten are looked at; then the right one is not, for ever."""
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    clinic.hashing.looked = 0
    results = await asyncio.gather(*(fetch(clinic, made, f"{n:08d}") for n in range(50)), return_exceptions=True)
    assert all(isinstance(each, LinkRefused) for each in results)
    assert clinic.hashing.looked == ATTEMPTS
    assert sorted(each.left for each in results) == [0] * 41 + list(range(1, ATTEMPTS))
    assert await refused(clinic, name(made), made.passcode) == 0
    clinic.world.clock.ms += (SECONDS_MAX - 3_600) * 1_000
    assert await refused(clinic, name(made), made.passcode) == 0
    assert await failed(clinic, made) >= ATTEMPTS


async def test_right_ones_do_not_count_and_wrong_ones_add_up(clinic):
    """Owner's openings between the guesses give no guess back."""
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    for left in range(ATTEMPTS - 1, 0, -1):
        assert await refused(clinic, name(made), "wrong guess") == left
        assert await fetch(clinic, made) == ALL
    assert await refused(clinic, name(made), "wrong guess") == 0
    assert await refused(clinic, name(made), made.passcode) == 0


async def test_every_refusal_is_the_same(clinic):
    """Unknown, another secret, ended, expired, used, a wrong passcode: same status, attempts and work."""
    make, end = clinic.rights.links.make, clinic.rights.links.end
    wrong, used, ended, other = [await make(OWN, LinkWish()) for _ in range(4)]
    short = await make(OWN, LinkWish(expires_in=60))
    await fetch(clinic, used)
    await end(OWN, ended.id)
    clinic.world.clock.ms += 61_000
    id_, _, hidden = name(other).partition(".")
    cases = [
        (name(wrong), "wrong passcode"),
        (f"{id_}.{hidden[::-1]}", other.passcode),
        (id_, other.passcode),
        ("nosuchlink000000." + hidden, other.passcode),
        (name(used), used.passcode),
        (name(ended), ended.passcode),
        (name(short), short.passcode),
    ]
    told = []
    for address, passcode in cases:
        clinic.hashing.looked = 0
        with pytest.raises(LinkRefused) as refusal:
            await clinic.rights.opening.open(address, Manifest(DOCTOR, passcode))
        told.append((str(refusal.value), refusal.value.http_status, clinic.hashing.looked))
    assert len(set(told)) == 1
    assert told[0][1:] == (401, 1)


async def test_a_link_is_its_patients(clinic):
    """Another patient does not end it, nor see it; a clinician makes none."""
    made = await clinic.rights.links.make(OWN, LinkWish())
    with pytest.raises(NotFound):
        await clinic.rights.links.end(OTHER, made.id)
    for who in (ann,):
        with pytest.raises(Denied):
            await clinic.rights.links.make(who, LinkWish())
    assert (await clinic.rights.sharing.standing(OTHER)).shares == ()
    assert await fetch(clinic, made) == ALL
    theirs = await clinic.rights.links.make(OTHER, LinkWish())
    assert await fetch(clinic, theirs) == {"Patient/q", "Observation/q1"}


async def test_an_opening_stands_in_the_patients_log(clinic):
    """Who had the link, by the name that they gave, what they saw, and what let them."""
    made = await clinic.rights.links.make(OWN, LinkWish(data=("normal",)))
    await fetch(clinic, made)
    seen = [each.event for each in await clinic.world.log.find(AuditQuery(limit=50)) if each.event.account == made.id]
    disclosed = [each for each in seen if each.touched]
    assert {each.client for each in disclosed} == {f"recipient: {DOCTOR}"}
    assert {each.roles for each in disclosed} == {("link",)}
    assert all("provision.provision[0]" in each.basis for each in disclosed)
    assert {t.reference for each in disclosed for t in each.touched} == ALL - {"Observation/psy", "Observation/hiv"}
    told = json.loads((await clinic.world.send(OWN, "GET /AuditEvent?_count=50")).body)
    assert DOCTOR in json.dumps(told)


async def test_no_log_no_data_and_the_link_is_good_afterwards(clinic, monkeypatch):
    """Where the disclosure cannot be written down nothing is shown, and the one use is not gone."""
    made = await clinic.rights.links.make(OWN, LinkWish())
    real = clinic.world.log.append

    async def append(*events):
        if any(each.touched for each in events):
            raise Unavailable("The log cannot be written.")
        return await real(*events)

    monkeypatch.setattr(clinic.world.log, "append", append)
    with pytest.raises(Unavailable):
        await fetch(clinic, made)
    monkeypatch.undo()
    assert await fetch(clinic, made) == ALL
    assert await offline(clinic.world.directory).verify() == []


async def test_a_longer_file_is_fetched_once_elsewhere(clinic):
    """Where the manifest may not hold it: by who asked, within ten minutes, while the link lives, of what is shared then."""
    made = await clinic.rights.links.make(OWN, LinkWish())
    manifest = await clinic.rights.opening.open(name(made), Manifest(DOCTOR, made.passcode, 10))
    (said,) = manifest["files"]
    address, ticket = said["location"].rsplit("/", 2)[1:]
    assert address == name(made)
    other = await clinic.rights.links.make(OWN, LinkWish())
    for wrong in ((name(other), ticket), (address, ticket[:-4]), (address, ""), (address.partition(".")[0], ticket)):
        with pytest.raises(LinkRefused):
            await clinic.rights.opening.fetch(*wrong)
    results = await asyncio.gather(
        *(clinic.rights.opening.fetch(address, ticket) for _ in range(9)), return_exceptions=True
    )
    (file,) = [each for each in results if isinstance(each, str)]
    shown = opened(made, {"files": [{"embedded": file}]})
    assert {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in shown["entry"]} == ALL
    seen = [each.event for each in await clinic.world.log.find(AuditQuery(limit=50)) if each.event.account == made.id]
    assert {each.client for each in seen if each.touched} == {f"recipient: {DOCTOR}"}


@pytest.mark.parametrize("late", ["time", "ended"])
async def test_a_file_is_not_fetched_too_late(clinic, late):
    """After its time, and after the link was withdrawn."""
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    manifest = await clinic.rights.opening.open(name(made), Manifest(DOCTOR, made.passcode, 10))
    address, ticket = manifest["files"][0]["location"].rsplit("/", 2)[1:]
    if late == "time":
        clinic.world.clock.ms += TICKET_SECONDS * 1_000
    else:
        await clinic.rights.links.end(OWN, made.id)
    with pytest.raises(LinkRefused):
        await clinic.rights.opening.fetch(address, ticket)


async def test_what_fails_for_us_is_no_wrong_attempt(clinic, monkeypatch):
    """More failures of ours than there are attempts: the link still opens."""
    made = await clinic.rights.links.make(OWN, LinkWish())
    monkeypatch.setattr("medlock.rights.opening.FILE_BYTES_MAX", 10)
    for _ in range(ATTEMPTS + 1):
        with pytest.raises(TooLarge):
            await fetch(clinic, made)
    monkeypatch.undo()
    assert await fetch(clinic, made, embedded_length_max=1_000_000) == ALL


async def test_a_large_record_comes_whole(clinic):
    """Page after page, each resource once."""
    entries = [
        {
            "request": {"method": "PUT", "url": f"Condition/d{n}"},
            "resource": {"resourceType": "Condition", "id": f"d{n}", "subject": {"reference": "Patient/p"}},
        }
        for n in range(1_100)
    ]
    await clinic.world.transact(entries)
    made = await clinic.rights.links.make(OWN, LinkWish())
    assert len(await fetch(clinic, made)) == len(ALL) + 1_100


async def test_nothing_readable_is_kept(clinic):
    """Neither secret, passcode, key nor file lies in any table; the row opens, and holds none of them."""
    made = await clinic.rights.links.make(OWN, LinkWish(label="plain label"))
    await fetch(clinic, made)
    hidden = name(made).partition(".")[2]
    secrets = [hidden, made.passcode, payload(made)["key"], "plain label", DOCTOR, made.link]
    for table in Table:
        async for row in rows(clinic.world.backend, table):
            assert not any(each.encode() in row for each in secrets)
    held = await clinic.rights.links.held(made.id)
    kept = msgspec.json.encode(held.value).decode()
    assert held.value.passcode.startswith("$argon2id$")
    assert not any(each in kept for each in secrets)


async def rows(backend, table):
    """Every row of a table."""
    after = None
    while page := await backend.scan(table, after, 1_000):
        for _, row in page:
            yield row
        after = page[-1][0]


async def test_a_link_that_is_put_back_is_named(clinic):
    """Whoever writes to the disk makes a used link new again: `medlock verify` says so."""
    made = await clinic.rights.links.make(OWN, LinkWish())
    before = await clinic.rights.links.held(made.id)
    await fetch(clinic, made)
    await clinic.world.backend.commit(Batch(puts=[(Table.OAUTH, before.key, before.row)]))
    found = await offline(clinic.world.directory).verify()
    assert [each.kind.value for each in found] == ["rolled-back"]


async def test_a_restore_ends_links_and_sweeping_takes_old_ones(clinic):
    """A link of a backup may have been used or ended since; what has expired leaves no row."""
    kept = await clinic.rights.links.make(OWN, LinkWish())
    short = await clinic.rights.links.make(OWN, LinkWish(expires_in=60))
    clinic.world.clock.ms += 61_000
    await clinic.desk.sweeper.sweep()
    assert await clinic.rights.links.held(short.id) is None
    assert await forget_all(clinic.rows, "restore") == 1
    await refused(clinic, name(kept), kept.passcode)
    assert await offline(clinic.world.directory).verify() == []


async def test_an_erased_patients_link_opens_nothing(clinic):
    """The patient is gone, and so is what the link could show."""
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    await Shredder(clinic.world.vault, clinic.world.log, clinic.world.clock).shred(officer(), "p")
    await refused(clinic, name(made), made.passcode)


WRONG = {
    "too short": LinkWish(expires_in=59),
    "too long": LinkWish(expires_in=SECONDS_MAX + 1),
    "passcode": LinkWish(passcode="12345"),
    "label": LinkWish(label="x" * 81),
    "types": LinkWish(types=("Nothing",)),
    "data": LinkWish(data=("everything",)),
}


@pytest.mark.parametrize("wish", WRONG.values(), ids=WRONG)
async def test_what_makes_no_sense_is_refused(clinic, wish):
    """422, and there is no link."""
    with pytest.raises(Unprocessable):
        await clinic.rights.links.make(OWN, wish)
    assert (await clinic.rights.sharing.standing(OWN)).shares == ()


async def test_who_receives_must_say_so(clinic):
    """A name that can be shown; without one nothing is counted or looked at."""
    made = await clinic.rights.links.make(OWN, LinkWish())
    for recipient in ("", "  ", "x" * 101, "a\nb"):
        with pytest.raises(BadRequest):
            await clinic.rights.opening.open(name(made), Manifest(recipient, made.passcode))
    assert await failed(clinic, made) == 0


GIVEN = {
    "all": ("patient/*.rs patient/Consent.crus", {}, "patient/*.rs"),
    "one": ("patient/Consent.crus patient/Observation.rs", {}, "patient/Observation.rs"),
    "wished": ("patient/*.rs patient/Consent.crus", {"types": ("Condition",)}, "patient/Condition.rs"),
}
NOT_GIVEN = {
    "consents": ("patient/Consent.crus", {}),
    "search": ("patient/Consent.crus patient/Observation.r", {}),
    "another": ("patient/Consent.crus patient/Observation.rs", {"types": ("Observation", "Condition")}),
    "part": ("patient/Consent.crus patient/Observation.rs?category=vital-signs", {}),
    "part of a type, all of another": (
        "patient/Consent.crus patient/Condition.rs patient/Observation.rs?category=vital-signs",
        {"types": ("Condition",)},
    ),
}


@pytest.mark.parametrize(("scopes", "wish", "kept"), GIVEN.values(), ids=GIVEN)
async def test_a_link_shows_what_its_maker_may_see(clinic, scopes, wish, kept):
    """The scopes of the token that makes it bound what it opens, for as long as it lives."""
    made = await clinic.rights.links.make(patient("p", scopes), LinkWish(**wish))
    assert (await clinic.rights.links.held(made.id)).value.scopes == kept
    types = [word.removeprefix("patient/").removesuffix(".rs") for word in kept.split()]
    assert await fetch(clinic, made) == {each for each in ALL if types == ["*"] or each.partition("/")[0] in types}


@pytest.mark.parametrize(("scopes", "wish"), NOT_GIVEN.values(), ids=NOT_GIVEN)
async def test_nobody_makes_a_link_to_what_they_may_not_see(clinic, scopes, wish):
    """An app that may write consents gets at no data by a link; nothing of one is left."""
    with pytest.raises(Denied):
        await clinic.rights.links.make(patient("p", scopes), LinkWish(**wish))
    assert (await clinic.rights.sharing.standing(OWN)).shares == ()


async def test_a_ticket_spelled_otherwise_is_the_same(clinic):
    """Base64url skips foreign characters and spare bits: however it is written, a file is fetched once."""
    made = await clinic.rights.links.make(OWN, LinkWish())
    manifest = await clinic.rights.opening.open(name(made), Manifest(DOCTOR, made.passcode, 10))
    address, ticket = manifest["files"][0]["location"].rsplit("/", 2)[1:]
    spellings = [ticket, f"{ticket[:5]}!{ticket[5:]}", f"{ticket[:5]}..{ticket[5:]}", f"~{ticket[:9]}**{ticket[9:]}"]
    fetched = [clinic.rights.opening.fetch(address, each) for each in spellings]
    results = await asyncio.gather(*fetched, return_exceptions=True)
    assert sum(isinstance(each, str) for each in results) == 1
    assert sum(isinstance(each, LinkRefused) for each in results) == len(spellings) - 1


async def test_substance_use_data_leaves_with_its_notice(clinic):
    """42 CFR 2.32: the Bundle that a receiver decrypts says that it may not be disclosed further; others do not."""
    opioids = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]}
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    asked = Manifest(DOCTOR, made.passcode)
    assert "meta" not in opened(made, await clinic.rights.opening.open(name(made), asked))
    subject = {"reference": "Patient/p"}
    await clinic.world.put({"resourceType": "Condition", "id": "sud", "code": opioids, "subject": subject})
    bundle = opened(made, await clinic.rights.opening.open(name(made), asked))
    mark = bundle["meta"]["security"][0]
    assert (mark["code"], mark["display"]) == (NO_REDISCLOSURE, NOTICE)


PROXY = Person("proxy", "Pat Proxy", (Role.PATIENT,), "RelatedPerson/r", ("p",))
ENDINGS = {
    "ended": Person("proxy", "Pat Proxy", (Role.PATIENT,), "RelatedPerson/r", ("q",)),
    "no patient's": Person("proxy", "Pat Proxy", (Role.CLINICIAN,)),
    "disabled": None,
}


def through_an_app(account, grant="approval-1"):
    """A person who signed in, acting for the patient with a token that came of that."""
    scopes = parse_scopes("patient/*.rs patient/Consent.crus")
    return mint_principal(account, frozenset({Role.PATIENT}), scopes, patient="p", grant_id=grant)


@pytest.mark.parametrize("now", ENDINGS.values(), ids=ENDINGS)
async def test_a_link_ends_with_its_makers_right(clinic, now):
    """Who stands in for the patient no more, or may not sign in, shows nothing by a link of former days, nor by a file."""
    clinic.people.people["proxy"] = PROXY
    made = await clinic.rights.links.make(through_an_app("proxy"), LinkWish(lasting=True))
    own = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    assert (await clinic.rights.links.held(made.id)).value.by == "proxy"
    assert await fetch(clinic, made) == ALL
    manifest = await clinic.rights.opening.open(name(made), Manifest(DOCTOR, made.passcode, 10))
    address, ticket = manifest["files"][0]["location"].rsplit("/", 2)[1:]
    del clinic.people.people["proxy"]
    if now is not None:
        clinic.people.people["proxy"] = now
    assert await refused(clinic, name(made), made.passcode) == ATTEMPTS - 1
    with pytest.raises(LinkRefused):
        await clinic.rights.opening.fetch(address, ticket)
    assert await fetch(clinic, own) == ALL


async def test_a_representatives_link_ends_after_their_last_day(clinic, monkeypatch):
    """Of an account as accounts have it: the link is as good as its proxy is at that moment."""
    clock = clinic.world.clock
    proxy = Proxy("p", "RelatedPerson/r", clock.ms - 1, clock.ms + 60_000, clock.ms - 1, "desk")
    account = Account("proxy", 1, "pat", "Pat Proxy", (Role.PATIENT,), Status.ACTIVE, 0, 0, proxies=(proxy,))

    async def standing(_):
        return Standing(person_of(account, clock.ms), Batch())

    monkeypatch.setattr(clinic.people, "standing", standing)
    made = await clinic.rights.links.make(through_an_app("proxy"), LinkWish(lasting=True))
    assert await fetch(clinic, made) == ALL
    clock.ms += 60_001
    await refused(clinic, name(made), made.passcode)


async def test_who_only_heard_of_a_link_does_not_use_it_up(clinic):
    """Attempts count by the whole address; at one that is no link's they are forgotten after a quarter of an hour."""
    made = await clinic.rights.links.make(OWN, LinkWish(lasting=True))
    strange = f"{made.id}.x"
    for left in range(ATTEMPTS - 1, -1, -1):
        assert await refused(clinic, strange, made.passcode) == left
    assert await refused(clinic, strange, made.passcode) == 0
    assert await failed(clinic, made) == 0
    assert await fetch(clinic, made) == ALL
    clinic.world.clock.ms += STRANGE_SECONDS * 1_000 + 1
    assert await refused(clinic, strange, made.passcode) == ATTEMPTS - 1


async def test_a_link_that_gets_no_rule_leaves_no_row(clinic, monkeypatch):
    """Too many links at once, or rules that change all the time: the row goes with the failure, and the log agrees."""
    monkeypatch.setattr("medlock.rights.sharing.LINKS_MAX", 3)
    wishes = [clinic.rights.links.make(OWN, LinkWish()) for _ in range(6)]
    results = await asyncio.gather(*wishes, return_exceptions=True)
    refusals = [each for each in results if isinstance(each, BaseException)]
    assert [type(each) for each in refusals] == [BadRequest] * 3
    assert len([held async for held in clinic.rows.links.every()]) == 3
    assert len((await clinic.rights.sharing.standing(OWN)).shares) == 3
    assert await offline(clinic.world.directory).verify() == []
    assert LINKS_MAX == 50
