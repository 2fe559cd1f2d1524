"""From a FHIR R4 Consent to the engine's: every element in canonical form, or the path of the one not understood.

`read` is for what is stored: a consent that cannot be read denies everything, since nobody can tell what it forbids.
`faults` is for what is about to be stored (`access.consent.refusing` adds to it). Both walk the same way, so that a
consent that was accepted is one that is enforced whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from medlock.access.consent import codes
from medlock.access.consent.model import Consent, Datum, Provision
from medlock.errors import Problem
from medlock.fhir.dates import Interval, period
from medlock.fhir.references import local_target

Json = Mapping[str, Any]
MEANINGS: Final = frozenset({"instance", "related", "dependents", "authoredby"})
DEPTH_MAX: Final = 8
_TYPES: Final = {"permit": False, "deny": True}
_RULES: Final = {"OPTIN": "permit", "OPTOUT": "deny"}
_UNSUPPORTED: Final = frozenset({"modifierExtension"})


@dataclass(slots=True)
class Reader:
    """Reads one consent; `problems` collects what it does not understand. `base` is this server's own address."""

    purposes: codes.Purposes = codes.NO_PROJECTS
    base: str = ""
    problems: list[Problem] = field(default_factory=list)

    def root(self, resource: Json) -> Provision:
        """The root rule; its type is that of the policy rule where it has none of its own (R4 and PCF differ)."""
        given = resource.get("provision") or {}
        kind = given.get("type") or _ruled(resource)
        if kind not in _TYPES:
            self.say("required", "Say whether the root provision permits or denies.", "Consent.provision.type")
        return self._provision(given, "provision", 0, deny=_TYPES.get(kind, True))

    def say(self, code: str, text: str, path: str) -> None:
        """One thing that is not understood, or not allowed."""
        self.problems.append(Problem(code, text, path))

    def _nested(self, given: Json, path: str, depth: int) -> Provision:
        kind = given.get("type", "")
        if kind not in _TYPES:
            self.say("required", "Say whether the provision permits or denies.", f"Consent.{path}.type")
        return self._provision(given, path, depth, deny=_TYPES.get(kind, True))

    def _provision(self, given: Json, path: str, depth: int, *, deny: bool) -> Provision:
        at = f"Consent.{path}"
        if not _UNSUPPORTED.isdisjoint(given):
            self.say("not-supported", "Modifier extensions change a meaning in ways not known here.", at)
        if depth > DEPTH_MAX:
            self.say("too-costly", f"Provisions may be nested at most {DEPTH_MAX} deep.", at)
            return Provision(deny, path)
        levels, sensitivities = self._labels(given, at)
        return Provision(
            deny,
            path,
            period=self._period(given, "period", at),
            actors=self._each(given, "actor", at, self._actor),
            purposes=self._each(given, "purpose", at, self._purpose),
            actions=self._each(given, "action", at, self._action),
            classes=self._each(given, "class", at, self._class),
            codes=self._each(given, "code", at, self._code),
            data_period=self._period(given, "dataPeriod", at),
            data=self._data(given, at),
            levels=levels,
            sensitivities=sensitivities,
            children=tuple(
                self._nested(each, f"{path}.provision[{number}]", depth + 1)
                for number, each in enumerate(given.get("provision") or ())
            ),
        )

    def _each(
        self, given: Json, name: str, at: str, read: Callable[[Json, str], Iterator[str]]
    ) -> frozenset[str] | None:
        """What a repeating element lists; None when it is not there."""
        if name not in given:
            return None
        return frozenset(
            value for number, each in enumerate(given[name]) for value in read(each, f"{at}.{name}[{number}]")
        )

    def _period(self, given: Json, name: str, at: str) -> Interval | None:
        """A period, both ends inclusive: one that ends on a day lasts the whole of it (R4 §2.24.0.6)."""
        if name not in given:
            return None
        found = period(given[name])
        if found is None:
            self.say("value", "Give the period a start or an end.", f"{at}.{name}")
        elif found[0] >= found[1]:
            self.say("value", "The period ends before it starts.", f"{at}.{name}")
        return found

    def _actor(self, given: Json, at: str) -> Iterator[str]:
        reference = given.get("reference") or {}
        named = reference.get("identifier") or {}
        caller = codes.caller_named(str(named.get("system", "")), str(named.get("value", "")))
        if caller and "reference" not in reference:
            yield caller
            return
        target = self._target(reference, f"{at}.reference")
        if target.startswith("Device/"):  # no caller is known by one, so a deny would be passed over
            self.say("not-supported", "Name a person, role, team, group or organisation.", f"{at}.reference")
        if target:
            yield target

    def _target(self, given: Json, at: str) -> str:
        """Where a reference leads, `Type/id`, "" when not to a resource of this server."""
        found = local_target(str(given.get("reference", "")), self.base)
        if found is None:
            self.say("not-supported", "Refer to a resource of this server, such as Practitioner/1.", at)
            return ""
        return "/".join(found)

    def _purpose(self, given: Json, at: str) -> Iterator[str]:
        purpose = codes.purpose_of(given.get("system", ""), given.get("code", ""))
        if not self.purposes.known(purpose):
            self.say("code-invalid", "This purpose of use is not known here.", at)
        yield purpose

    def _action(self, given: Json, at: str) -> Iterator[str]:
        found = [each["code"] for each in _codings(given) if each.get("system") == codes.ACTIONS_SYSTEM]
        if not found or not codes.ACTIONS.issuperset(found):
            self.say("code-invalid", "This action is not known here.", at)
        yield from found

    def _class(self, given: Json, at: str) -> Iterator[str]:
        system, code = given.get("system", ""), given.get("code", "")
        if (system in codes.TYPES_SYSTEMS and "/" not in code) or (system in codes.PROFILES_SYSTEMS and "/" in code):
            yield code
        else:
            self.say("code-invalid", "Name a class by resource type or by the address of a profile.", at)

    def _code(self, given: Json, at: str) -> Iterator[str]:
        found = [f"{each.get('system', '')}|{each['code']}" for each in _codings(given)]
        if not found:
            self.say("code-invalid", "Give the code as a coding; a text cannot be compared.", at)
        yield from found

    def _data(self, given: Json, at: str) -> frozenset[Datum] | None:
        if "data" not in given:
            return None
        return frozenset(self._datum(each, f"{at}.data[{number}]") for number, each in enumerate(given["data"]))

    def _datum(self, given: Json, at: str) -> Datum:
        meaning = str(given.get("meaning", ""))
        if meaning not in MEANINGS:
            self.say("code-invalid", "This meaning of a reference is not known here.", f"{at}.meaning")
        return Datum(meaning, self._target(given.get("reference") or {}, f"{at}.reference"))

    def _labels(self, given: Json, at: str) -> tuple[frozenset[int] | None, frozenset[str] | None]:
        if "securityLabel" not in given:
            return None, None
        levels, sensitivities = set[int](), set[str]()
        for number, each in enumerate(given["securityLabel"]):
            label = codes.label_of(each.get("system", ""), each.get("code", ""))
            if label is None:
                text = "A security label here is a confidentiality or a sensitivity of HL7 v3."
                self.say("code-invalid", text, f"{at}.securityLabel[{number}]")
            elif label.level is not None:
                levels.add(label.level)
            else:
                sensitivities.add(label.sensitivity)
        return frozenset(levels), frozenset(sensitivities)


def read(resource: Json, purposes: codes.Purposes = codes.NO_PROJECTS, base: str = "") -> Consent | None:
    """A stored consent as the engine takes it; None when it decides nothing: not active, or of another scope."""
    scope = scope_of(resource)
    if resource.get("status") != "active" or not scope:
        return None
    reader = Reader(purposes, base)
    id_, research = str(resource.get("id", "")), scope == "research"
    try:
        patient = local_target(str((resource.get("patient") or {}).get("reference", "")), base)
        if patient is None or "modifierExtension" in resource:
            reader.say("required", "It names no patient of this server, or is modified.", "Consent.patient")
        root = reader.root(resource)
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        return unreadable(id_, "", type(fault).__name__)
    whose = patient[1] if patient is not None and patient[0] == "Patient" else ""
    if reader.problems:
        return unreadable(id_, whose, reader.problems[0].path)
    return Consent(id_, whose, root, research)


def unreadable(id_: str, patient: str, why: str) -> Consent:
    """What cannot be evaluated denies."""
    return Consent(id_, patient, Provision(deny=True, path="(unreadable)"), broken=why)


def scope_of(resource: Json) -> str:
    """The scope if it is one that is enforced: patient-privacy or research; else ""."""
    found = {each.get("code") for each in _codings(resource.get("scope") or {}) if each.get("system") == codes.SCOPES}
    return next((name for name in ("patient-privacy", "research") if name in found), "")


def _ruled(resource: Json) -> str:
    """The root's type by its policy rule: opt in or opt out."""
    found = [
        _RULES[each["code"]]
        for each in _codings(resource.get("policyRule") or {})
        if codes.canonical_system(each.get("system", "")) == codes.ACT_CODE and each.get("code") in _RULES
    ]
    return found[0] if found else ""


def _codings(concept: Json) -> list[Json]:
    return [each for each in concept.get("coding") or () if each.get("code")]
