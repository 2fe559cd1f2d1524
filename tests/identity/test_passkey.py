"""Passkeys beyond the common suite: what the standard demands of each ceremony, and what becomes of a doubted one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.authenticator import BE, BS, UP, UV, Authenticator, b64, unb64
from identity.clinic import ANN, BOB, Clinic, clinic
from medlock.errors import Conflict, NotAuthenticated, NotFound, Raced
from medlock.identity.factors import ceremony
from medlock.identity.factors.passkey import PASSKEYS_MAX, UnknownPasskey
from medlock.identity.factors.shape import REFUSED, Answer, Notice, Owner, Proof

SYNCED = UP | UV | BE | BS


async def enrolled(world: Clinic, device: Authenticator, owner: Owner = ANN, label: str = "") -> str:
    offer = await world.passkeys.offer(owner, "b")
    change = await world.passkeys.accept(
        owner, Answer(device.create(dict(offer.shown)), offer.ticket, "b", label=label)
    )
    await world.backend.commit(change.batch)
    return change.factor


async def signed_in(world: Clinic, device: Authenticator, account: str = "", **changed) -> Proof:
    challenge = await world.passkeys.challenge(account, "b")
    answer = Answer(device.get(dict(challenge.shown), **changed), challenge.ticket, "b")
    return await world.passkeys.verify(account, answer)


@pytest.mark.parametrize("alg", [-7, -8, -257])
async def test_each_algorithm_from_registration_to_sign_in(alg: int) -> None:
    """ES256, Ed25519 and RS256; the passkey says whose it is, nobody typed a name."""
    world, device = clinic(), Authenticator(alg)
    await enrolled(world, device)
    proof = await signed_in(world, device)
    assert proof.account == ANN.account
    assert (proof.amr, proof.resistant) == (("hwk", "user"), True)


async def test_options_ask_for_what_the_standard_wants() -> None:
    """Resident, verified, no attestation, three algorithms, a random handle, and no list at sign-in."""
    world, device = clinic(), Authenticator()
    shown = dict((await world.passkeys.offer(ANN, "b")).shown)
    assert shown["authenticatorSelection"]["residentKey"] == "required"
    assert shown["authenticatorSelection"]["requireResidentKey"] is True
    assert shown["authenticatorSelection"]["userVerification"] == "required"
    assert shown["attestation"] == "none"
    assert [each["alg"] for each in shown["pubKeyCredParams"]] == [-8, -7, -257]
    assert len(unb64(shown["user"]["id"])) == 64
    assert ANN.account not in json.dumps(shown)
    assert len(unb64(shown["challenge"])) >= 16
    assert shown["extensions"]["credProps"] is True
    assert len(unb64(shown["extensions"]["prf"]["eval"]["first"])) == 32
    await enrolled(world, device)
    again = dict((await world.passkeys.offer(ANN, "b")).shown)
    assert [each["id"] for each in again["excludeCredentials"]] == [b64(device.id)]
    assert again["excludeCredentials"][0]["transports"] == ["internal", "hybrid"]
    assert again["user"]["id"] == shown["user"]["id"] or device.handle == unb64(again["user"]["id"])
    anybody = dict((await world.passkeys.challenge("", "b")).shown)
    assert anybody["allowCredentials"] == []
    assert anybody["userVerification"] == "required"
    known = dict((await world.passkeys.challenge(ANN.account, "b")).shown)
    assert [each["id"] for each in known["allowCredentials"]] == [b64(device.id)]


async def test_salts_for_made_keys_stay() -> None:
    """The account's salt is the same at registration and at every step-up, and another one for another account."""
    world, device = clinic(), Authenticator()
    await enrolled(world, device)
    salts = {
        (await world.passkeys.offer(ANN, "b")).shown["extensions"]["prf"]["eval"]["first"],
        (await world.passkeys.challenge(ANN.account, "b")).shown["extensions"]["prf"]["eval"]["first"],
    }
    assert len(salts) == 1
    assert (await world.passkeys.offer(BOB, "b")).shown["extensions"]["prf"]["eval"]["first"] not in salts


@pytest.mark.parametrize("handle", [[], {}, 5, True, "!", "x" * 999])
async def test_a_user_handle_that_is_none_is_refused(handle: object) -> None:
    """Whatever stands in its place: the sentence of every refusal, and no fault of the server."""
    world, device = clinic(), Authenticator()
    await enrolled(world, device)
    offer = await world.passkeys.challenge("", "b")
    sent = json.loads(device.get(offer.shown))
    sent["response"]["userHandle"] = handle
    with pytest.raises(NotAuthenticated, match=REFUSED):
        await world.passkeys.verify("", Answer(json.dumps(sent), offer.ticket, "b"))


@pytest.mark.parametrize(
    "fault",
    [
        {"flags": UP}, {"flags": UV}, {"flags": UP | UV | BS}, {"origin": "https://clinic.example.evil.example"},
        {"origin": "http://clinic.example"}, {"origin": "https://clinic.example:8443"}, {"rp_id": "evil.example"},
        {"client": {"crossOrigin": True}}, {"client": {"type": "webauthn.get"}}, {"client": {"challenge": b64(b"x" * 32)}},
        {"alg": -7, "cose": {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}},
        {"cose": {1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)}}, {"cose": {1: 3, 3: -257, -1: b"\x7f" * 128, -2: b"\1\0\1"}},
        {"cose": {1: 1, 3: -7, -1: 6, -2: bytes(32)}}, {"cose": {}, "id": b""}, {"id": b"x" * 1_024},
    ],

)  # fmt: skip
async def test_a_registration_with_a_fault_is_refused(fault: dict) -> None:
    """§7.1: one fault at a time."""
    world = clinic()
    offer = await world.passkeys.offer(ANN, "b")
    sent = Authenticator(**fault).create(dict(offer.shown))
    with pytest.raises(NotAuthenticated):
        await world.passkeys.accept(ANN, Answer(sent, offer.ticket, "b"))


@pytest.mark.parametrize(
    "fault",
    [
        {"attestation": {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}}}, {"attestation": {"fmt": "tpm"}},
        {"attestation": {"fmt": "none", "attStmt": {"sig": b"x"}}}, {"attestation": {"authData": b"x" * 37}},
        {"id": "AAAA"}, {"id": "AAAA", "rawId": "AAAA"}, {"type": "password"}, {"rawId": 7}, {"response": {"attestationObject": "!"}},
        {"response": {"attestationObject": b64(cbor2.dumps([1, 2]))}}, {"response": {"clientDataJSON": b64(b"[]")}},
    ],

)  # fmt: skip
async def test_a_registration_whose_form_is_wrong_is_refused(fault: dict) -> None:
    """Attestations that were not asked for, ids that are not those made, things that are not what they should be."""
    world = clinic()
    offer = await world.passkeys.offer(ANN, "b")
    sent = Authenticator().create(dict(offer.shown), **fault)
    with pytest.raises(NotAuthenticated):
        await world.passkeys.accept(ANN, Answer(sent, offer.ticket, "b"))


@pytest.mark.parametrize(
    "fault",
    [
        {"flags": UP}, {"flags": UV}, {"flags": SYNCED}, {"origin": "https://evil.example"}, {"rp_id": "evil.example"},
        {"client": {"crossOrigin": True}}, {"client": {"type": "webauthn.create"}}, {"client": {"challenge": b64(b"x" * 32)}},
        {"handle": b"x" * 64}, {"handle": b""},
    ],

)  # fmt: skip
async def test_a_sign_in_with_a_fault_is_refused(fault: dict) -> None:
    """§7.2: one fault at a time; and the passkey still works afterwards."""
    world, device = clinic(), Authenticator()
    await enrolled(world, device)
    with pytest.raises(NotAuthenticated):
        await signed_in(world, replace(device, **fault))
    device.count += 1
    assert await signed_in(world, device)


async def test_a_relayed_sign_in_is_refused_fifty_times_of_fifty() -> None:
    """A page on another origin that passes everything on gets a signature over its own origin, and in nowhere."""
    world, device = clinic(), Authenticator(counts=False)
    await enrolled(world, device)
    device.origin = "https://clinic-example.evil.example"
    for _ in range(50):
        with pytest.raises(NotAuthenticated):
            await signed_in(world, device)


async def test_a_challenge_belongs_to_one_browser_and_purpose() -> None:
    """An answer with the ticket of another browser, or of a step-up of somebody, is no sign-in."""
    world, device = clinic(), Authenticator()
    await enrolled(world, device)
    challenge = await world.passkeys.challenge("", "b")
    sent = device.get(dict(challenge.shown))
    for account, browser in (("", "c"), (ANN.account, "b")):
        with pytest.raises(NotAuthenticated):
            await world.passkeys.verify(account, Answer(sent, challenge.ticket, browser))
    assert await world.passkeys.verify("", Answer(sent, challenge.ticket, "b"))


async def test_a_passkey_of_one_account_is_none_of_another() -> None:
    """Not in a step-up; nor can two accounts have the same credential id."""
    world, device = clinic(), Authenticator()
    await enrolled(world, device)
    with pytest.raises(NotAuthenticated):
        await signed_in(world, device, BOB.account)
    thief = Authenticator(id=device.id)
    offer = await world.passkeys.offer(BOB, "b")
    change = await world.passkeys.accept(BOB, Answer(thief.create(dict(offer.shown)), offer.ticket, "b"))
    with pytest.raises(Raced):
        await world.backend.commit(change.batch)


async def test_at_a_step_up_the_handle_may_be_missing() -> None:
    """§7.2 step 6: when the list named the passkey, an authenticator may leave the handle out."""
    world, device = clinic(), Authenticator()
    await enrolled(world, device)
    assert await signed_in(world, replace(device, handle=b""), ANN.account)


async def test_a_counter_that_falls_makes_a_passkey_doubted_until_its_owner_says_otherwise() -> None:
    """The proof does not count alone and says so, this time and the next; after `trust` it does again."""
    world, device = clinic(), Authenticator()
    name = await enrolled(world, device)
    clone = replace(device)
    await signed_in(world, device)
    proof = await signed_in(world, clone)
    assert proof.doubted
    assert Notice.COUNTER_FELL in proof.notices
    device.count += 5
    assert (await signed_in(world, device)).doubted
    assert (await world.passkeys.describe(ANN.account))[0].doubted
    await world.backend.commit((await world.passkeys.trust(ANN.account, name)).batch)
    assert not (await signed_in(world, device)).doubted


async def test_a_counter_that_stays_zero_is_no_fall() -> None:
    """Synced passkeys have none; they say that they are in a cloud, and the list shows it."""
    world, device = (
        clinic(),
        Authenticator(counts=False, flags=SYNCED, aaguid=bytes.fromhex("ea9b8d664d011d213ce4b6b48cb575d4")),
    )
    await enrolled(world, device)
    for _ in range(3):
        proof = await signed_in(world, device)
        assert (proof.doubted, proof.amr) == (False, ("swk", "user"))
    (shown,) = await world.passkeys.describe(ANN.account)
    assert (shown.synced, shown.label, shown.provider) == (True, "Google Password Manager", "Google Password Manager")
    device.flags = UP | UV | BE
    await signed_in(world, device)
    assert not (await world.passkeys.describe(ANN.account))[0].synced


async def test_whether_it_can_be_backed_up_never_changes() -> None:
    """§7.2 step 19, in both directions."""
    for before, after in ((UP | UV, SYNCED), (SYNCED, UP | UV)):
        world, device = clinic(), Authenticator(flags=before)
        await enrolled(world, device)
        with pytest.raises(NotAuthenticated):
            await signed_in(world, replace(device, flags=after))


async def test_only_a_conditional_creation_may_lack_presence() -> None:
    """What the browser makes by itself after a sign-in with a password needs no touch; everything after it does."""
    world, device = clinic(), Authenticator(flags=0, counts=False)
    offer = await world.passkeys.offer_conditional(ANN, "b")
    change = await world.passkeys.accept(ANN, Answer(device.create(dict(offer.shown)), offer.ticket, "b"))
    await world.backend.commit(change.batch)
    with pytest.raises(NotAuthenticated):
        await signed_in(world, device)
    device.flags = UP | UV
    assert await signed_in(world, device)


async def test_signals_name_what_counts() -> None:
    """After enrolment and sign-in: all accepted; after removal and for one that is unknown: that one; after a new name: it."""
    world, device, second = clinic(), Authenticator(), Authenticator()
    name = await enrolled(world, device)
    await enrolled(world, second)
    told = await world.passkeys.accepted(ANN.account)
    assert told["userId"] == b64(device.handle)
    assert told["allAcceptedCredentialIds"] == [b64(device.id), b64(second.id)]
    assert (await world.passkeys.details(replace(ANN, name="Ann Hill")))["displayName"] == "Ann Hill"
    change = await world.passkeys.remove(ANN.account, name)
    assert change.told == {"rpId": "clinic.example", "credentialId": b64(device.id)}
    await world.backend.commit(change.batch)
    with pytest.raises(UnknownPasskey) as refusal:
        await signed_in(world, device)
    assert refusal.value.signal == change.told
    assert (await world.passkeys.accepted(ANN.account))["allAcceptedCredentialIds"] == [b64(second.id)]
    assert await world.passkeys.accepted(BOB.account) == await world.passkeys.details(BOB) == {}


async def test_several_passkeys_of_one_account_at_the_same_moment() -> None:
    """Two devices sign in at once: both get in, though they share a row."""
    world, devices = clinic(), [Authenticator(), Authenticator(alg=-8), Authenticator(alg=-8)]
    for device in devices:
        await enrolled(world, device)
    proofs = await asyncio.gather(*(signed_in(world, device) for device in devices))
    assert {proof.account for proof in proofs} == {ANN.account}
    assert all(each.used for each in await world.passkeys.describe(ANN.account))


async def test_marks_of_challenges_are_swept_when_they_are_over() -> None:
    """Not before: until then they keep an answer from counting twice."""
    world, device = clinic(), Authenticator()
    await enrolled(world, device)
    await signed_in(world, device)
    world.clock.ms += 299_999
    assert await world.passkeys.sweep() == 0
    world.clock.ms += 1
    assert (await world.passkeys.sweep(), await world.passkeys.sweep()) == (1, 0)


async def test_names_and_limits() -> None:
    """Owners name their passkeys; twenty are enough; a removed one leaves its handle to the next."""
    world = clinic()
    names = [await enrolled(world, Authenticator(alg=-8), label=f"Key {n}\u202e") for n in range(PASSKEYS_MAX)]
    with pytest.raises(Conflict):
        await world.passkeys.offer(ANN, "b")
    await world.backend.commit((await world.passkeys.rename(ANN.account, names[0], "  Blue one ")).batch)
    shown = await world.passkeys.describe(ANN.account)
    assert [each.label for each in shown[:2]] == ["Blue one", "Key 1"]
    with pytest.raises(NotFound):
        await world.passkeys.rename(BOB.account, names[0], "x")
    before = (await world.passkeys.accepted(ANN.account))["userId"]
    for name in names:
        await world.backend.commit((await world.passkeys.remove(ANN.account, name)).batch)
    assert (await world.passkeys.offer(ANN, "b")).shown["user"]["id"] == before


@given(
    place=st.integers(0, 10_000),
    bit=st.integers(0, 7),
    part=st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]),
)
async def test_no_changed_bit_gets_in(place: int, bit: int, part: str) -> None:
    """Whatever is flipped in what was signed, or in the signature, is refused."""
    world, device = clinic(), Authenticator(alg=-8, counts=False)
    await enrolled(world, device)
    challenge = await world.passkeys.challenge("", "b")
    sent = json.loads(device.get(dict(challenge.shown)))
    data = bytearray(unb64(sent["response"][part]))
    data[place % len(data)] ^= 1 << bit
    sent["response"][part] = b64(bytes(data))
    with pytest.raises(NotAuthenticated):
        await world.passkeys.verify("", Answer(json.dumps(sent), challenge.ticket, "b"))


@given(data=st.binary(max_size=300))
def test_whatever_an_authenticator_sends_is_refused_in_the_same_way(data: bytes) -> None:
    """Bytes in the place of an attestation object, of authenticator data, of a key: NotAuthenticated, never a fault."""
    site = ceremony.Site("clinic.example", "https://clinic.example")
    client = {"type": "webauthn.create", "challenge": b64(b"c" * 32), "origin": site.origin}
    fields = {"attestationObject": b64(data), "authenticatorData": b64(data), "signature": b64(data)}
    response = {"id": "AAAA", "rawId": "AAAA", "type": "public-key"}
    for kind in ("create", "get"):
        told = b64(json.dumps(client | {"type": f"webauthn.{kind}"}).encode())
        sent = response | {"response": fields | {"clientDataJSON": told}}
        with pytest.raises(NotAuthenticated):
            ceremony.register(site, sent, b"c" * 32, conditional=False)
        with pytest.raises(NotAuthenticated):
            ceremony.authenticate(site, sent, b"c" * 32, data)
