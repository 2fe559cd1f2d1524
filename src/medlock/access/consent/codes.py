"""Code systems that consents, requests and labels speak, each put into one form before anything is compared.

Purposes of use are codes of v3-ActReason, "TREAT"; a purpose that the site registered is "system|code" and stands
under one of them. Security labels are a level of confidentiality (v3-Confidentiality) or a sensitivity (v3-ActCode);
HIV, PSY, SDV and ETH stand in both systems and mean the sensitivity. What is in neither tree is not understood here,
and whoever asks decides what that means: a consent is refused, a label on a resource is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import msgspec

from medlock.fhir.terms import at_or_above, at_or_below

_HL7: Final = "http://terminology.hl7.org/CodeSystem/"
ACT_REASON: Final = f"{_HL7}v3-ActReason"
ACT_CODE: Final = f"{_HL7}v3-ActCode"
CONFIDENTIALITY: Final = f"{_HL7}v3-Confidentiality"
PARTICIPATION: Final = f"{_HL7}v3-ParticipationType"
SCOPES: Final = f"{_HL7}consentscope"
ACTIONS_SYSTEM: Final = f"{_HL7}consentaction"
TYPES_SYSTEMS: Final = frozenset({"http://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types"})
PROFILES_SYSTEMS: Final = frozenset({"urn:ietf:rfc:3986", "http://hl7.org/fhir/structure-definition"})
_BEFORE_R4: Final = "http://hl7.org/fhir/v3/"  # STU3 spelled the same systems so

BREAK_GLASS: Final = "BTG"
RESEARCH: Final = "HRESCH"
TREATMENT: Final = "TREAT"
# v3-ActReason puts both under TREAT; yet a permit for treatment opens neither (docs/consent.md, "Purposes").
_APART: Final = frozenset({BREAK_GLASS, "CLINTRL"})
ACTIONS: Final = frozenset({"access", "collect", "use", "disclose", "correct"})

LEVELS: Final[Mapping[str, int]] = MappingProxyType({"U": 0, "L": 1, "M": 2, "N": 3, "R": 4, "V": 5})
NORMAL: Final = LEVELS["N"]
RESTRICTED: Final = LEVELS["R"]
_SENSITIVE: Final = at_or_below(ACT_CODE, "_InformationSensitivityPolicy") or frozenset()
# IHE PCF lists both under ETH, substance abuse; v3-ActCode has them under SPI, SUD only.
_ALSO_ABOVE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"ETHUD": frozenset({"ETH"}), "OPIOIDUD": frozenset({"ETH"})}
)

APPS: Final = "urn:medlock:app"
LINKS: Final = "urn:medlock:share-link"
PATIENT_SHARING: Final = ("urn:medlock:consent", "patient-sharing")
_CALLERS: Final[Mapping[str, str]] = MappingProxyType({APPS: "app:", LINKS: "link:"})
"""Systems of identifiers by which a consent names callers that are no resource: a registered app, a share link."""

LABELLED: Final = "urn:medlock:labelled|1"
"""Stands among the sealed labels of a resource that the labeller has looked at; never shown."""


def caller_named(system: str, value: str) -> str:
    """An app or a share link as an actor, "app:x" or "link:y"; "" for identifiers of anything else."""
    return _CALLERS[system] + value if system in _CALLERS and value else ""


def canonical_system(system: str) -> str:
    """The R4 name of a code system."""
    return _HL7 + "v3-" + system.removeprefix(_BEFORE_R4) if system.startswith(_BEFORE_R4) else system


class Purposes(msgspec.Struct, frozen=True):
    """The purposes of use that this site knows: HL7's, and its own, "system|code" → the purpose they stand under."""

    registered: Mapping[str, str] = {}

    def known(self, purpose: str) -> bool:
        """Whether it stands in the tree."""
        return purpose in self.registered or bool(_above(purpose))

    def above(self, purpose: str) -> frozenset[str]:
        """It and every purpose that it is a case of."""
        under = self.registered.get(purpose)
        return _above(purpose) if under is None else _above(under) | {purpose}

    def opened_by(self, purpose: str) -> frozenset[str]:
        """The purposes whose permit opens it: those above, but never from break-glass or a trial up to treatment."""
        found = self.above(purpose)
        for apart in _APART & found:
            found &= _below(apart) | frozenset({apart, purpose})
        return found


NO_PROJECTS: Final = Purposes()


def purpose_of(system: str, code: str) -> str:
    """A purpose in the form that is compared."""
    return code if canonical_system(system) == ACT_REASON else f"{system}|{code}"


@lru_cache(1_024)
def _above(purpose: str) -> frozenset[str]:
    if purpose not in _PURPOSES:
        return frozenset()
    return at_or_above(ACT_REASON, purpose) or frozenset()


def _below(purpose: str) -> frozenset[str]:
    return at_or_below(ACT_REASON, purpose) or frozenset()


_PURPOSES: Final = _below("PurposeOfUse")


class Label(msgspec.Struct, frozen=True):
    """One security label: a level of confidentiality, or a sensitivity; exactly one of them."""

    level: int | None = None
    sensitivity: str = ""


def label_of(system: str, code: str) -> Label | None:
    """A coding as a label; None when it is neither a level nor a sensitivity."""
    system = canonical_system(system)
    if system == CONFIDENTIALITY and code in LEVELS:
        return Label(LEVELS[code])
    if system in {CONFIDENTIALITY, ACT_CODE} and code in _SENSITIVE and (system == ACT_CODE or code in _IN_BOTH):
        return Label(None, code)
    return None


_IN_BOTH: Final = frozenset({"HIV", "PSY", "SDV", "ETH"})


@lru_cache(1_024)
def sensitivities_above(code: str) -> frozenset[str]:
    """A sensitivity and every one that covers it, those that PCF adds among them."""
    found = at_or_above(ACT_CODE, code) or frozenset({code})
    for each in found & _ALSO_ABOVE.keys():
        found |= _ALSO_ABOVE[each]
    return found & (_SENSITIVE | {code})


class Labels(msgspec.Struct, frozen=True):
    """What the labels of a resource amount to: effective confidentiality, and all sensitivities."""

    level: int = NORMAL
    sensitivities: frozenset[str] = frozenset()


def labels_of(texts: Iterable[str]) -> Labels | None:
    """The labels "system|code" of a resource as one; None, unknown, when the labeller has not seen it.

    Effective confidentiality is the highest of what is written, restricted where anything is sensitive, else normal.
    """
    return _labels_of(tuple(texts))


def is_normal(texts: Iterable[str]) -> bool:
    """Whether a resource with these labels is known to be of no sensitive class."""
    labels = labels_of(texts)
    return labels is not None and not labels.sensitivities


@lru_cache(4_096)
def _labels_of(texts: tuple[str, ...]) -> Labels | None:
    if LABELLED not in texts:
        return None
    found = [label for text in texts if (label := label_of(*_parted(text))) is not None]
    sensitive = frozenset(label.sensitivity for label in found if label.sensitivity)
    levels = [label.level for label in found if label.level is not None] + [RESTRICTED] * bool(sensitive)
    return Labels(max(levels, default=NORMAL), sensitive)


def _parted(text: str) -> tuple[str, str]:
    system, _, code = text.rpartition("|")
    return system, code
