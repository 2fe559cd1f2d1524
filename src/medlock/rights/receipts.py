"""Consent receipts: Kantara Consent Receipt 1.1 in JSON, with what ISO/IEC TS 27560 asks for beside it. Signed.

A receipt says what one version of the Consent says of one rule, and is made when it is asked for: the Consent's history
is the record, so nothing can differ from it, and a receipt of years ago is as good as one of today. The names are those
of the Kantara specification; `consent` holds what it has no name for. docs/spec/sharing.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import orjson

from medlock.rights.shares import Json, Share
from medlock.rights.sharing import Moment

VERSION: Final = "KI-CR-v1.1.0"
TYPE: Final = "consent-receipt+jwt"
_METHOD: Final = "explicit act of the patient through the sharing API"
_UNTIL: Final = "until it is withdrawn"
_PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "TREAT": "treatment",
        "HPAYMT": "healthcare payment",
        "HOPERAT": "healthcare operations",
        "HRESCH": "healthcare research",
        "PATRQT": "patient requested",
        "PUBHLTH": "public health",
        "BTG": "break the glass",
    }
)


class Signer(Protocol):
    """A key that signs; `crypto.jose.Signer` is one."""

    def public(self) -> dict[str, Any]:
        """Its public half as a JWK."""

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """A JWS over the claims."""


class SigningKeys(Protocol):
    """Where that key is found; `oauth.signing` has it."""

    async def current(self) -> Signer:
        """The key that signs now. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the operator says of themselves: the law that applies, and where the privacy policy stands; "" is unsaid."""

    base_url: str
    jurisdiction: str = ""
    policy_url: str = ""


def receipt_of(moment: Moment, begun: Json, controller: Json | None, notice: Notice) -> Json:
    """The receipt of a rule: `begun` is the version of the Consent that gave it first, `controller` an Organization."""
    share, consent = moment.share, moment.consent
    version, base = consent["meta"]["versionId"], notice.base_url
    reference = f"{base}/Consent/{consent['id']}/_history/{version}"
    ended = {"withdrawnAt": moment.withdrawn} if moment.withdrawn else {}
    return {
        "version": VERSION,
        "jurisdiction": notice.jurisdiction or "not stated",
        "consentTimestamp": _seconds(begun["meta"]["lastUpdated"]),
        "collectionMethod": _METHOD,
        "consentReceiptID": str(uuid5(NAMESPACE_URL, f"{reference}#{share.id}{moment.withdrawn}")),
        "language": "en",
        "piiPrincipalId": f"{base}/{consent['patient']['reference']}",
        "piiControllers": [_controller(controller, notice)],
        "policyUrl": notice.policy_url or "not stated",
        "services": [{"service": "access to the health record", "purposes": _purposes(share)}],
        "sensitive": True,
        "spiCat": ["health", *share.data],
        "consent": {
            "record": reference,
            "version": version,
            "rule": share.id,
            "state": _state(share, moment),
            "decision": share.decision,
            "givenBy": [each["reference"] for each in begun.get("performer", ())],
            "recipients": list(share.recipients),
            "purposes": list(share.purposes),
            "dataClasses": list(share.data or ("all",)),
            "period": _span(share.period),
            "dataPeriod": _span(share.data_period),
            "withdrawal": {"method": f"DELETE {base.removesuffix('/fhir')}/sharing/{share.id}"} | ended,
        },
    }


async def signed(receipt: Json, keys: SigningKeys) -> Json:
    """The receipt and a JWS over it, by the key that signs id_tokens (RFC 7515); `publicKey` is that key's."""
    signer = await keys.current()
    receipt = receipt | {"publicKey": orjson.dumps(signer.public()).decode()}
    return {"receipt": receipt, "jws": signer.sign(receipt, {"typ": TYPE})}


def _controller(organisation: Json | None, notice: Notice) -> Json:
    """Who decides about the processing: the Organization that the operator named, else the server by its address."""
    if organisation is None:
        host = urlsplit(notice.base_url).netloc
        return {"piiController": host, "contact": host, "address": {}, "email": "", "phone": ""}
    telecom = {each.get("system"): each.get("value", "") for each in organisation.get("telecom", ())}
    address: Json = next(iter(organisation.get("address", ())), {})
    name = str(organisation.get("name", ""))
    person = next((each.get("name", {}).get("text", "") for each in organisation.get("contact", ())), "")
    return {
        "piiController": name,
        "contact": person or name,
        "address": address,
        "email": telecom.get("email", ""),
        "phone": telecom.get("phone", ""),
    }


def _purposes(share: Share) -> list[Json]:
    """Each purpose with what it may use and whom it may reach; one for all where none is named."""
    return [
        {
            "purpose": _PURPOSES.get(each, each) or "any purpose",
            "purposeCategory": [each or "any"],
            "consentType": "EXPLICIT",
            "piiCategory": list(share.data or ("all",)),
            "primaryPurpose": not at,
            "termination": share.period.end or _UNTIL,
            "thirdPartyDisclosure": share.decision == "permit",
            "thirdPartyName": ", ".join(share.recipients),
        }
        for at, each in enumerate(share.purposes or ("",))
    ]


def _state(share: Share, moment: Moment) -> str:
    """ISO/IEC TS 27560's state of a consent: given, refused, withdrawn."""
    if moment.withdrawn:
        return "withdrawn"
    return "given" if share.decision == "permit" else "refused"


def _span(span: Any) -> Json:
    return {name: value for name, value in (("start", span.start), ("end", span.end)) if value}


def _seconds(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())
