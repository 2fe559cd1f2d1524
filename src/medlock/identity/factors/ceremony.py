"""The two ceremonies of WebAuthn Level 3 (§7.1 registration, §7.2 authentication), as functions of their arguments.

The parsing and the signatures are py_webauthn's. What it leaves to us is here: one exact origin, no frame of another
site (`crossOrigin`), only the attestation formats that can follow from asking for none, a bound on sizes, and one
refusal for whatever is wrong inside. Counters are compared by the caller, because a fall is not simply a refusal.

User verification is demanded always and user presence too; only a passkey that the browser makes by itself after a
sign-in with a password (conditional create, §5.1.3) may lack both, and it must show both before it counts for anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
)
from webauthn.helpers.cose import COSECRV, COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import DecodedEC2PublicKey, DecodedOKPPublicKey, DecodedRSAPublicKey
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from medlock.errors import MedlockError
from medlock.identity.factors.shape import refused

ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,  # -8
    COSEAlgorithmIdentifier.ECDSA_SHA_256,  # -7
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # -257
]
TIMEOUT_MS = 300_000  # §15.1: 300 to 600 s when a user is verified; our tickets live as long
RESPONSE_MAX = 65_536
ID_MAX = 1_023  # §4, credential id
ATTESTATIONS = {"none", "packed"}  # packed: self-attestation that a client may leave in place (§5.1.3 step 23)
RSA_BYTES = range(256, 513)  # 2,048 bits at least; more than 4,096 only cost time
_BROKEN = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class _ClientData(msgspec.Struct, frozen=True):
    """What the browser says of the page (§5.8.1), as far as py_webauthn does not look."""

    origin: str
    crossOrigin: bool = False  # noqa: N815 - the standard's name


@dataclass(frozen=True, slots=True)
class Site:
    """Who we are to authenticators: `rp_id` a host name, `origin` exactly as the browser writes it."""

    rp_id: str
    origin: str
    name: str = "medlock"


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey. `eligible` for backup: it may be in several devices; `backed_up`: it is."""

    id: bytes
    public_key: bytes
    count: int
    aaguid: str
    eligible: bool
    backed_up: bool
    verified: bool
    transports: tuple[str, ...]
    prf: bool


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a passkey has signed."""

    count: int
    eligible: bool
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A passkey that options name."""

    id: bytes
    transports: tuple[str, ...] = ()


def creation_options(
    site: Site, names: tuple[str, str], handle: bytes, challenge: bytes, known: list[Known], *, conditional: bool
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON for login and name; `handle` is 64 random bytes, never an address."""
    verification = UserVerificationRequirement.PREFERRED if conditional else UserVerificationRequirement.REQUIRED
    options = generate_registration_options(
        rp_id=site.rp_id,
        rp_name=site.name,
        user_id=handle,
        user_name=names[0],
        user_display_name=names[1] or names[0],
        challenge=challenge,
        timeout=TIMEOUT_MS,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=verification
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each.id) for each in known],
        supported_pub_key_algs=ALGORITHMS,
    )
    made = options_to_json_dict(options)
    _transports(made["excludeCredentials"], known)
    return made


def request_options(site: Site, challenge: bytes, known: list[Known]) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON; without `known` any passkey of this site may answer (conditional UI)."""
    options = generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=[PublicKeyCredentialDescriptor(id=each.id) for each in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    made = options_to_json_dict(options)
    _transports(made["allowCredentials"], known)
    return made


def parsed(text: str) -> dict[str, Any]:
    """The browser's JSON. Raises NotAuthenticated."""
    try:
        found = json.loads(text) if len(text) <= RESPONSE_MAX else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise refused("a passkey's answer is no JSON of one")
    return found


def credential_id(response: dict[str, Any]) -> bytes:
    """Which passkey answers. Raises NotAuthenticated."""
    return _bytes(response.get("rawId"), "credential id", ID_MAX)


def user_handle(response: dict[str, Any]) -> bytes:
    """Whom the passkey says it belongs to; b"" when it does not say. Raises NotAuthenticated."""
    given = response["response"].get("userHandle")
    return b"" if given is None or given == "" else _bytes(given, "user handle", 64)


def register(site: Site, response: dict[str, Any], challenge: bytes, *, conditional: bool) -> Registered:
    """§7.1: a new passkey, checked. Raises NotAuthenticated."""
    try:
        _same_page(site, response)
        found = verify_registration_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_presence=not conditional,
            require_user_verification=not conditional,
            supported_pub_key_algs=ALGORITHMS,
        )
        usable = _usable(found.credential_public_key)
    except _BROKEN as fault:
        raise _wrong(fault) from None
    if not usable or found.fmt not in ATTESTATIONS or len(found.credential_id) > ID_MAX:
        raise refused("a key, an attestation or an id that was not asked for")
    if found.credential_id != credential_id(response):
        raise refused("the id is not the one that was made")  # §7.1 leaves it to the client; ours is the one we look up
    return Registered(
        found.credential_id,
        found.credential_public_key,
        found.sign_count,
        found.aaguid,
        found.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        found.credential_backed_up,
        found.user_verified,
        _told_transports(response),
        _enabled_prf(response),
    )


def authenticate(site: Site, response: dict[str, Any], challenge: bytes, public_key: bytes) -> Asserted:
    """§7.2 but for the counter: the passkey with this public key has signed the challenge. Raises NotAuthenticated."""
    try:
        _same_page(site, response)
        found = verify_authentication_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except _BROKEN as fault:
        raise _wrong(fault) from None
    eligible = found.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    return Asserted(found.new_sign_count, eligible, found.credential_backed_up)


def _usable(public_key: bytes) -> bool:
    """Whether a public key is of the kind that its algorithm names (§5.8.5), on its curve, and of a sound size."""
    key = decode_credential_public_key(public_key)
    if public_key[0] == 0x04:  # the bare point of U2F, which no passkey sends
        return False
    decoded_public_key_to_cryptography(key)
    if isinstance(key, DecodedEC2PublicKey):
        return key.alg == COSEAlgorithmIdentifier.ECDSA_SHA_256 and key.crv == COSECRV.P256
    if isinstance(key, DecodedOKPPublicKey):
        return key.alg == COSEAlgorithmIdentifier.EDDSA and key.crv == COSECRV.ED25519
    rsa = isinstance(key, DecodedRSAPublicKey) and key.alg == COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256
    return rsa and isinstance(key, DecodedRSAPublicKey) and len(key.n.lstrip(b"\0")) in RSA_BYTES


def _same_page(site: Site, response: dict[str, Any]) -> None:
    """Raises NotAuthenticated when the page was ours but in a frame of somebody else's, or not ours."""
    try:
        client = msgspec.json.decode(base64url_to_bytes(response["response"]["clientDataJSON"]), type=_ClientData)
    except msgspec.MsgspecError:
        raise refused("client data that cannot be read") from None
    if client.crossOrigin or client.origin != site.origin:
        raise refused("a page of another origin")


def _wrong(fault: Exception) -> MedlockError:
    """A refusal that keeps the kind of fault, and none of the words: they quote what was sent."""
    return fault if isinstance(fault, MedlockError) else refused(f"a passkey's answer failed: {type(fault).__name__}")


def _bytes(given: object, what: str, longest: int) -> bytes:
    if not isinstance(given, str) or len(given) > longest * 2:
        raise refused(f"no {what}")
    try:
        found = base64url_to_bytes(given)
    except ValueError:
        raise refused(f"no {what}") from None
    if not found or bytes_to_base64url(found) != given:
        raise refused(f"no {what}")
    return found


def _transports(listed: list[dict[str, Any]], known: list[Known]) -> None:
    """Say how to reach each passkey, in the words that its browser used: the standard keeps that list open."""
    for shown, each in zip(listed, known, strict=True):
        if each.transports:
            shown["transports"] = list(each.transports)


def _told_transports(response: dict[str, Any]) -> tuple[str, ...]:
    given = response["response"].get("transports")
    words = given if isinstance(given, list) else []
    return tuple(word for word in words[:8] if isinstance(word, str) and word.isascii() and 0 < len(word) <= 16)


def _enabled_prf(response: dict[str, Any]) -> bool:
    """Whether the authenticator says that it can make keys (§10.1.4)."""
    results = response.get("clientExtensionResults")
    prf = results.get("prf") if isinstance(results, dict) else None
    return isinstance(prf, dict) and prf.get("enabled") is True
