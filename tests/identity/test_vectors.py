"""The vectors of docs/spec/factors.md, read by the program, by a second implementation, and, for passkeys, by `fido2`."""

from __future__ import annotations

import json

import pytest
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.webauthn import AttestedCredentialData, AuthenticatorData, PublicKeyCredentialRpEntity
from hypothesis import given
from hypothesis import strategies as st

from identity import make_vectors, naive
from identity.authenticator import ORIGIN, RP, b64, unb64
from identity.clinic import StoppedClock
from medlock.crypto.aead import Aead
from medlock.crypto.kdf import derive
from medlock.crypto.otp import matching_step
from medlock.crypto.passwords import check_password
from medlock.errors import NotAuthenticated, SetupError
from medlock.identity.factors import ceremony
from medlock.identity.factors.passkey import _Request
from medlock.identity.factors.recovery import Recovery, plain
from medlock.identity.factors.tickets import Tickets
from medlock.identity.passwords.blocklist import read_list

SITE = ceremony.Site(RP, ORIGIN)

STRICTER = {
    "backed up but not eligible": "§6.1.3: BS without BE is no state at all; fido2 leaves the flags to its caller",
    "in a frame of another site": "§7.1 step 10, §7.2 step 13: we never ask from a frame; fido2 has no such notion",
    "a point that is not on the curve": "fido2 looks at keys when they first sign",
    "an algorithm that was not offered": "fido2 offers all that it knows",
    "a key of 1,024 bits": "fido2 looks at keys when they first sign",
    "ES256 with a key of Ed25519": "fido2 looks at keys when they first sign",
    "an attestation of a maker": "fido2 ignores attestation when none was asked for",
    "packed, with a signature that is none": "fido2 ignores attestation when none was asked for",
    "attestation none with a statement": "fido2 ignores attestation when none was asked for",
    "an empty id": "fido2 leaves ids to its caller",
    "an id that is too long": "fido2 leaves ids to its caller",
    "another id outside than inside": "§7.1 step 27 stores the one inside; the browser says both, and they agree",
    "another type of credential": "fido2 does not look at the type outside",
}
"""Where we refuse what fido2 takes, and why. There is nothing that it refuses and we take, but for one ceremony that it
does not have (conditional creation)."""


def vectors(name: str) -> list:
    path = make_vectors.VECTORS / f"{name}.json"
    cases = json.loads(path.read_text(encoding="utf-8"))
    return [pytest.param(case, id=f"{name}-{number}-{case.get('name', '')}") for number, case in enumerate(cases)]


@pytest.mark.parametrize("name", make_vectors.FILES)
def test_the_files_are_what_the_script_writes(name: str) -> None:
    """And in each of them most must fail, where there is right and wrong."""
    cases = make_vectors.FILES[name]()
    assert (make_vectors.VECTORS / f"{name}.json").read_text(encoding="utf-8") == make_vectors.written(cases)
    rights = [case.get("good", case.get("step", case.get("has"))) for case in cases]
    assert sum(not right for right in rights) >= len(rights) // 2 - 1


def ours(case: dict) -> bool:
    try:
        if case["ceremony"] == "create":
            ceremony.register(SITE, case["response"], make_vectors.CHALLENGE, conditional=case["conditional"])
        else:
            ceremony.authenticate(SITE, case["response"], make_vectors.CHALLENGE, unb64(case["key"]))
    except NotAuthenticated:
        return False
    return True


def fido2s(case: dict) -> bool:
    """What the second implementation says; whatever it raises is a refusal."""
    server = Fido2Server(
        PublicKeyCredentialRpEntity(id=RP, name="x"), "none", verify_origin=lambda origin: origin == ORIGIN
    )
    state = {"challenge": b64(make_vectors.CHALLENGE), "user_verification": "required"}
    try:
        if case["ceremony"] == "create":
            server.register_complete(state, case["response"])
        else:
            key = CoseKey.parse(cbor.decode(unb64(case["key"])))
            known = AttestedCredentialData.create(bytes(16), unb64(case["response"]["rawId"]), key)
            server.authenticate_complete(state, [known], case["response"])
    except Exception:  # noqa: BLE001 - it has no tree of errors
        return False
    return True


@pytest.mark.parametrize("case", vectors("passkeys"))
def test_passkeys(case: dict) -> None:
    """As the file says; and what fido2 accepts or refuses we do too, but for what is listed with its reason."""
    assert ours(case) == case["good"]
    if case.get("conditional"):
        return
    theirs = fido2s(case)
    assert theirs == case["good"] or (theirs and case["name"] in STRICTER)


def test_every_listed_difference_is_one() -> None:
    """No reason stands there for nothing."""
    cases = [case.values[0] for case in vectors("passkeys")]
    assert {case["name"] for case in cases if fido2s(case) and not ours(case)} == set(STRICTER)


@pytest.mark.parametrize("case", vectors("codes"))
def test_codes(case: dict) -> None:
    """One-time codes: RFC 6238's own, the window, and what was used."""
    secret = bytes.fromhex(case["secret"])
    assert matching_step(secret, case["code"], case["time_ms"], case["after"]) == case["step"] == naive.step_of(case)


@pytest.mark.parametrize("case", vectors("recovery"))
def test_recovery(case: dict) -> None:
    """Recovery codes as people write them."""
    pepper = bytes.fromhex(case["pepper"])
    found = naive.recovery_hash(pepper, case["account"], case["typed"])
    assert ((found or b"").hex() == case["hash"]) == case["good"]
    factor = Recovery.__new__(Recovery)
    factor._key = make_key(pepper)
    assert (factor._hash(case["account"], plain(case["typed"])).hex() == case["hash"]) == case["good"]


def make_key(pepper: bytes) -> bytes:
    return derive(pepper, "medlock/1/identity/recovery")


@pytest.mark.parametrize("case", vectors("passwords"))
def test_passwords(case: dict) -> None:
    """Password hashes under any parameters."""
    pepper = bytes.fromhex(case["pepper"])
    assert check_password(pepper, case["encoded"], case["typed"]) == case["good"]
    assert naive.is_password(pepper, case["encoded"], case["typed"]) == case["good"]


@pytest.mark.parametrize("case", vectors("tickets"))
def test_tickets(case: dict) -> None:
    """Tickets open for whom, where, what and when they were made."""
    tickets = Tickets(Aead(bytes.fromhex(case["key"])), StoppedClock(case["now_ms"]))
    try:
        state, _ = tickets.open(case["purpose"], case["account"], case["browser"], case["ticket"], _Request)
        opened = state.challenge
    except NotAuthenticated:
        opened = None
    assert (opened == make_vectors.CHALLENGE) == case["good"]
    assert (naive.opened(case) == bytes.fromhex(case["state"])) == case["good"]


@pytest.mark.parametrize("case", vectors("lists"))
def test_lists(case: dict) -> None:
    """Lists of known passwords: which are read, and what is in them."""
    data = bytes.fromhex(case["file"])
    if case["has"] is None:
        with pytest.raises(SetupError):
            read_list(data)
        assert naive.in_list(data, "x") is None
        return
    for password, there in case["has"].items():
        assert (password in read_list(data)) == there == naive.in_list(data, password)


def test_authenticator_data_reads_the_same_in_fido2() -> None:
    """What we keep of a registration is what the second implementation reads out of it."""
    case = next(case.values[0] for case in vectors("passkeys") if case.values[0]["name"] == "synced")
    made = ceremony.register(SITE, case["response"], make_vectors.CHALLENGE, conditional=False)
    server = Fido2Server(
        PublicKeyCredentialRpEntity(id=RP, name="x"), "none", verify_origin=lambda origin: origin == ORIGIN
    )
    read = server.register_complete(
        {"challenge": b64(make_vectors.CHALLENGE), "user_verification": "required"}, case["response"]
    )
    assert isinstance(read, AuthenticatorData)
    assert read.credential_data is not None
    assert (made.id, made.count) == (read.credential_data.credential_id, read.counter)
    assert made.aaguid.replace("-", "") == bytes(read.credential_data.aaguid).hex()
    assert made.eligible == bool(read.flags & AuthenticatorData.FLAG.BE)
    assert made.backed_up == bool(read.flags & AuthenticatorData.FLAG.BS)


@given(st.sampled_from(["create", "get"]), st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_what_we_take_fido2_takes(kind: str, place: int, byte: int, cut: bool) -> None:
    """Of answers with a byte changed or an end cut off there is none that gets in here and not there."""
    case = next(each.values[0] for each in vectors("passkeys") if each.values[0]["ceremony"] == kind)
    part = "attestationObject" if kind == "create" else "authenticatorData"
    data = bytearray(unb64(case["response"]["response"][part]))
    data[place % len(data)] ^= byte
    changed = bytes(data[: place % len(data)] if cut else data)
    response = case["response"] | {"response": case["response"]["response"] | {part: b64(changed)}}
    if ours(case | {"response": response}):
        assert fido2s(case | {"response": response})
        assert kind == "create" or not byte
