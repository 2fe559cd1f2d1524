"""What browsers and authenticators are told, beside the two ceremonies: signals and the key-making extension.

Signals (WebAuthn Level 3 §5.1.10) keep what a password manager shows in step with what counts here: one passkey that
is not known, all that are, and the present names. `all_accepted` is only ever told after a sign-in and holds
everything that counts, because a manager deletes what is not in it at once.

PRF (§10.1.4) makes a key that only this passkey can make. It is asked for at registration with the account's own
salt, so that messages and files can be locked with it later; a passkey that cannot do it is a passkey all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webauthn.helpers import bytes_to_base64url

SALT_BYTES = 32


def unknown_credential(rp_id: str, credential_id: bytes) -> dict[str, Any]:
    """For `PublicKeyCredential.signalUnknownCredential`."""
    return {"rpId": rp_id, "credentialId": bytes_to_base64url(credential_id)}


def all_accepted(rp_id: str, handle: bytes, ids: Iterable[bytes]) -> dict[str, Any]:
    """For `PublicKeyCredential.signalAllAcceptedCredentials`."""
    accepted = [bytes_to_base64url(each) for each in ids]
    return {"rpId": rp_id, "userId": bytes_to_base64url(handle), "allAcceptedCredentialIds": accepted}


def current_details(rp_id: str, handle: bytes, login: str, name: str) -> dict[str, Any]:
    """For `PublicKeyCredential.signalCurrentUserDetails`."""
    return {"rpId": rp_id, "userId": bytes_to_base64url(handle), "name": login, "displayName": name or login}


def creation_extensions(salt: bytes) -> dict[str, Any]:
    """Extensions of a registration: is it resident, can it make keys, and the first one if it can do so at once."""
    return {"credProps": True, "prf": {"eval": {"first": bytes_to_base64url(salt)}}}


def request_extensions(salt: bytes) -> dict[str, Any]:
    """Extensions of a step-up that needs the key."""
    return {"prf": {"eval": {"first": bytes_to_base64url(salt)}}}
