"""Rules, and files of them in the format of Microsoft's Tools for Health Data Anonymization (FHIR, R4).

A rule says which nodes (`path`, FHIRPath below a resource type) are treated how (`method`). The first rule in the
file that reaches a node, or a node around it, decides about it; the others find it taken. What a file of that tool
means is kept: nodes that no rule reaches stay as they are, unless the profile says otherwise.

Everything that can be wrong with a file is found when it is read, and named by the number of the rule: paths,
methods, settings, sizes of keys. Keys stand in files; they are never part of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import msgspec
import orjson

from medlock.deid.fhir.nodes import Nodes
from medlock.deid.fhir.path_functions import Scope
from medlock.deid.fhir.path_syntax import compile_path
from medlock.deid.fhir.steps import Step, steps_of
from medlock.errors import BadRequest
from medlock.fhir.structures import structure


class Method(StrEnum):
    """What is done to a node; the first eight are Microsoft's, the others come with our presets."""

    KEEP = "keep"
    REDACT = "redact"
    DATE_SHIFT = "dateshift"
    PERTURB = "perturb"
    CRYPTO_HASH = "cryptohash"
    ENCRYPT = "encrypt"
    SUBSTITUTE = "substitute"
    GENERALIZE = "generalize"
    GUARD = "guard"  # by datatype: see guards.py
    DATE = "date"  # year, shifted or kept, as the profile says
    PSEUDONYM = "pseudonym"
    TEXT = "text"  # cleaned, or dropped where no cleaner is given


GENERAL: Final = frozenset({"", "Resource", "DomainResource"})


@dataclass(frozen=True)
class Rule:
    """One rule: `kind` is the resource type that its path begins with, `expression` the rest."""

    path: str
    method: Method
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def split(self) -> tuple[str, str]:
        """(resource type, expression below it); a bare type stands for the resource itself."""
        head, dot, rest = self.path.partition(".")
        if head.isalpha() and head[:1].isupper():
            return (head, rest) if dot else (head, "")
        return "", self.path

    @cached_property
    def steps(self) -> tuple[Step, ...] | None:
        """Its steps when the structures decide what it reaches."""
        return steps_of(self.split[1]) if self.split[1] else ()

    @cached_property
    def expression(self) -> Callable[[Scope], Nodes]:
        """Its FHIRPath, compiled."""
        return compile_path(self.split[1] or "$this")

    def applies_to(self, kind: str) -> bool:
        """True when resources of this type are asked."""
        return self.split[0] in GENERAL or self.split[0] == kind


class Parameters(msgspec.Struct, frozen=True, rename="camel"):
    """The `parameters` of a rule file. Keys are kept as written and stay out of `repr`."""

    date_shift_key: str = ""
    date_shift_scope: str = "resource"
    date_shift_fixed_offset_in_days: int | None = None
    crypto_hash_key: str = ""
    encrypt_key: str = ""
    enable_partial_ages_for_redact: bool = False
    enable_partial_dates_for_redact: bool = False
    enable_partial_zip_codes_for_redact: bool = False
    restricted_zip_code_tabulation_areas: tuple[str, ...] = ()
    custom_settings: Any = None

    def __repr__(self) -> str:
        return "<Parameters>"


class _File(msgspec.Struct, frozen=True, rename="camel"):
    fhir_path_rules: list[dict[str, Any]]
    fhir_version: str | None = ""
    processing_errors: str | None = "raise"
    parameters: Parameters | None = None


@dataclass(frozen=True)
class RuleSet:
    """A rule file, checked."""

    rules: tuple[Rule, ...]
    parameters: Parameters = field(default_factory=Parameters)
    skip_errors: bool = False


def read_rules(data: bytes) -> RuleSet:
    """A rule file from its bytes. Raises BadRequest with the number of the rule that is wrong."""
    try:
        tree = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
        file = msgspec.convert(tree, _File)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The rule file is not JSON: line {error.lineno}, column {error.colno}.") from None
    except msgspec.ValidationError as error:
        raise BadRequest(f"The rule file is not as it should be: {_without_values(str(error))}.") from None
    if (file.fhir_version or "R4").upper() != "R4":
        raise BadRequest("The rule file is not for FHIR R4; set its fhirVersion to R4.")
    parameters = _checked(file.parameters or Parameters())
    rules = tuple(_rule(number, entry) for number, entry in enumerate(file.fhir_path_rules, 1))
    return RuleSet(rules, parameters, (file.processing_errors or "").lower() == "skip")


def _without_values(sentence: str) -> str:
    return sentence.partition(", got")[0]


def _checked(parameters: Parameters) -> Parameters:
    size = len(parameters.encrypt_key.encode())
    if size not in {0, 16, 24, 32}:
        raise BadRequest(f"The encryptKey has {size * 8} bits; it must have 128, 192 or 256.")
    if parameters.date_shift_scope.lower() not in {"resource", "file", "folder"}:
        raise BadRequest("The dateShiftScope must be resource, file or folder.")
    return parameters


def _rule(number: int, entry: Mapping[str, Any]) -> Rule:
    path, method = entry.get("path"), entry.get("method")
    if not isinstance(path, str) or not isinstance(method, str):
        raise BadRequest(f"Rule {number} lacks a path or a method.")
    if method.lower() not in set(Method):
        raise BadRequest(f"Rule {number} has a method that is not known: {method!r}.")
    rule = Rule(path, Method(method.lower()), entry)
    try:
        _ = rule.expression
    except BadRequest as error:
        raise BadRequest(f"Rule {number}: {error}") from None
    kind = rule.split[0]
    if kind not in GENERAL and structure(kind) is None:
        raise BadRequest(f"Rule {number} begins with {kind}, which is no type of FHIR R4.")
    _SETTINGS.get(rule.method, _no_settings)(number, entry)
    return rule


def _no_settings(_number: int, _entry: Mapping[str, Any]) -> None:
    """Methods that need none."""


def _substitution(number: int, entry: Mapping[str, Any]) -> None:
    if "replaceWith" not in entry:
        raise BadRequest(f"Rule {number}: substitute needs replaceWith.")


def _perturbation(number: int, entry: Mapping[str, Any]) -> None:
    span, digits = _number(entry.get("span")), _number(entry.get("roundTo", 2))
    if span is None or span < 0:
        raise BadRequest(f"Rule {number}: perturb needs a span of zero or more.")
    if digits is None or digits != int(digits) or not 0 <= digits <= 28:
        raise BadRequest(f"Rule {number}: roundTo must be a whole number from 0 to 28.")
    if str(entry.get("rangeType", "fixed")).lower() not in {"fixed", "proportional"}:
        raise BadRequest(f"Rule {number}: rangeType must be fixed or proportional.")


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _generalization(number: int, entry: Mapping[str, Any]) -> None:
    if str(entry.get("otherValues", "redact")).lower() not in {"redact", "keep"}:
        raise BadRequest(f"Rule {number}: otherValues must be redact or keep.")
    for text in (each for pair in cases_of(number, entry).items() for each in pair):
        try:
            compile_path(text)
        except BadRequest as error:
            raise BadRequest(f"Rule {number}, cases: {error}") from None


def cases_of(number: int, entry: Mapping[str, Any]) -> dict[str, str]:
    """The cases of a generalize rule, an object or its JSON text. Raises BadRequest."""
    cases = entry.get("cases")
    if isinstance(cases, str):
        try:
            cases = orjson.loads(cases)
        except orjson.JSONDecodeError:
            cases = None
    if not isinstance(cases, dict):
        raise BadRequest(f"Rule {number}: generalize needs cases.")
    return {key: str(value) for key, value in cases.items()}


_SETTINGS: Final = {
    Method.SUBSTITUTE: _substitution,
    Method.PERTURB: _perturbation,
    Method.GENERALIZE: _generalization,
}
