"""One rule that a patient makes about who may see what: as apps write it, and as a provision of a Consent. Pure.

A patient's rules stand as exceptions in one Consent of IHE PCF's form (docs/spec/sharing.md). Its root permits the
patient, who is bound by no consent, and so says nothing about anybody else: a rule that permits only adds, one that
denies only takes away, and a rule that is gone has left nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from medlock.access.consent.codes import ACT_CODE, ACT_REASON, APPS, CONFIDENTIALITY, LINKS, PARTICIPATION
from medlock.errors import Problem, Unprocessable

Json = dict[str, Any]
_RECIPIENT: Final = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
_TYPES: Final = "http://hl7.org/fhir/resource-types"
_APP, _LINK = "app:", "link:"
_OURS: Final = MappingProxyType({APPS: _APP, LINKS: _LINK})

CLASSES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = MappingProxyType(
    {
        "normal": ((CONFIDENTIALITY, "N"),),
        "restricted": ((CONFIDENTIALITY, "R"),),
        "mental-health": ((ACT_CODE, "PSY"),),
        "substance-use": ((ACT_CODE, "ETH"), (ACT_CODE, "SUD")),
        "hiv": ((ACT_CODE, "HIV"),),
        "sexually-transmitted": ((ACT_CODE, "STD"),),
        "sexual-health": ((ACT_CODE, "SEX"),),
        "genetics": ((ACT_CODE, "GDIS"),),
        "violence": ((ACT_CODE, "SDV"),),
    }
)
"""Classes of data by the security labels that stand for them; none named: all data."""

DEFAULT_PURPOSES: Final = ("TREAT",)


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """From when to when, as FHIR dates; "" is open."""

    start: str = ""
    end: str = ""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a patient wants to be shared, or kept from somebody.

    recipients   `Practitioner/x`, `PractitionerRole/x`, `CareTeam/x`, `Group/x`, `Organization/x`, `RelatedPerson/x`,
                 or `app:x`, the client id of an app
    purposes     codes of v3-ActReason, or "system|code"
    data         names of CLASSES; `types`: of resource types, where the site takes all of R4
    """

    decision: Literal["permit", "deny"] = "permit"
    recipients: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    period: Span = Span()
    data_period: Span = Span()


class Share(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A rule that is in force, by its id. `label`: what the patient called a link."""

    id: str
    decision: str
    recipients: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    period: Span = Span()
    data_period: Span = Span()
    label: str = ""

    @property
    def link(self) -> bool:
        """Whether it is a share link's."""
        return any(each.startswith(_LINK) for each in self.recipients)


def share_of(wish: Wish, id_: str) -> Share:
    """The rule that a wish makes. Raises Unprocessable with what to change."""
    problems = list(_faults(wish))
    if problems:
        raise Unprocessable("This cannot be shared as it stands.", problems=tuple(problems))
    purposes = wish.purposes or (DEFAULT_PURPOSES if wish.decision == "permit" else ())
    return Share(id_, wish.decision, wish.recipients, purposes, wish.data, wish.types, wish.period, wish.data_period)


def link_share(id_: str, data: Sequence[str], period: Span, label: str) -> Share:
    """The rule of a share link: whoever has it may look, for the patient's request."""
    unknown = [each for each in data if each not in CLASSES]
    if unknown:
        raise Unprocessable("This cannot be shared as it stands.", problems=(_class_fault(),))
    return Share(id_, "permit", (_LINK + id_,), ("PATRQT",), tuple(data), period=period, label=label)


def _faults(wish: Wish) -> list[Problem]:
    found = []
    if wish.decision == "permit" and not wish.recipients:
        found.append(Problem("required", "Name whom you share with: recipients.", "recipients"))
    if not all(map(_is_recipient, wish.recipients)):
        text = "A recipient is a reference such as Practitioner/1, or app: and the client id of an app."
        found.append(Problem("value", text, "recipients"))
    if not CLASSES.keys() >= set(wish.data):
        found.append(_class_fault())
    if wish.decision == "deny" and "normal" in wish.data:
        text = "To deny normal data is to deny everything: leave data out for that."
        found.append(Problem("business-rule", text, "data"))
    return found


def _is_recipient(text: str) -> bool:
    """Whether it has the form of one; where a reference leads is the door's business."""
    if text.startswith(_APP):
        return len(text) > len(_APP)
    return "/" in text and not text.startswith(_LINK)


def _class_fault() -> Problem:
    return Problem("code-invalid", f"Classes of data are {', '.join(CLASSES)}; none named is all.", "data")


def provision_of(share: Share) -> Json:
    """The rule as a provision of a Consent."""
    found: Json = {"id": share.id, "type": share.decision}
    parts: Json = {
        "period": _period(share.period),
        "actor": [_actor(each, share.label) for each in share.recipients],
        "securityLabel": [_coding(pair) for name in share.data for pair in CLASSES[name]],
        "purpose": [_purpose(each) for each in share.purposes],
        "class": [{"system": _TYPES, "code": each} for each in share.types],
        "dataPeriod": _period(share.data_period),
    }
    return found | {name: value for name, value in parts.items() if value}


def shares_of(consent: Mapping[str, Any]) -> list[Share]:
    """The rules that stand in a Consent of sharing."""
    return [_share(each) for each in (consent.get("provision") or {}).get("provision") or ()]


def _share(provision: Mapping[str, Any]) -> Share:
    actors = [each.get("reference") or {} for each in provision.get("actor") or ()]
    labels = {(each.get("system", ""), each.get("code", "")) for each in provision.get("securityLabel") or ()}
    return Share(
        str(provision.get("id", "")),
        str(provision.get("type", "")),
        tuple(_recipient(each) for each in actors),
        tuple(_purpose_text(each) for each in provision.get("purpose") or ()),
        tuple(name for name, pairs in CLASSES.items() if labels.issuperset(pairs)),
        tuple(str(each.get("code", "")) for each in provision.get("class") or ()),
        _span(provision.get("period")),
        _span(provision.get("dataPeriod")),
        next((str(each["display"]) for each in actors if "display" in each), ""),
    )


def _actor(recipient: str, label: str) -> Json:
    for system, prefix in _OURS.items():
        if recipient.startswith(prefix):
            reference: Json = {"type": "Device", "identifier": {"system": system, "value": recipient[len(prefix) :]}}
            shown = {"display": label} if label else {}
            return {"role": _RECIPIENT, "reference": reference | shown}
    return {"role": _RECIPIENT, "reference": {"reference": recipient}}


def _recipient(reference: Mapping[str, Any]) -> str:
    named = reference.get("identifier") or {}
    prefix = _OURS.get(str(named.get("system", "")), "")
    return prefix + str(named.get("value", "")) if prefix else str(reference.get("reference", ""))


def _purpose(text: str) -> Json:
    system, _, code = text.rpartition("|")
    return {"system": system or ACT_REASON, "code": code}


def _purpose_text(coding: Mapping[str, Any]) -> str:
    system, code = str(coding.get("system", "")), str(coding.get("code", ""))
    return code if system == ACT_REASON else f"{system}|{code}"


def _coding(pair: tuple[str, str]) -> Json:
    return {"system": pair[0], "code": pair[1]}


def _period(span: Span) -> Json:
    found: Json = msgspec.to_builtins(span)
    return found


def _span(period: Mapping[str, Any] | None) -> Span:
    return Span(str((period or {}).get("start", "")), str((period or {}).get("end", "")))
