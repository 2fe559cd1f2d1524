"""What the eight methods of Microsoft's rule files do, one class a method.

Three things differ from that tool, on purpose. `encrypt` seals with AES-256-GCM, so a changed ciphertext is found.
`perturb` takes its noise from a key instead of a generator: the same release twice gives the same noise, and an
average over releases gains nothing. What cannot be read as a date where a date must stand is removed.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from medlock.crypto.aead import Aead
from medlock.crypto.kdf import derive, extract
from medlock.crypto.prf import Prf
from medlock.deid.fhir.labels import Mark
from medlock.deid.fhir.nodes import Node
from medlock.deid.fhir.partial_dates import AGE_MAX, shift_days, shifted, year_of
from medlock.deid.fhir.path_functions import Scope, truth_of
from medlock.deid.fhir.path_syntax import compile_path
from medlock.deid.fhir.rules import Method, Parameters, Rule, cases_of
from medlock.deid.fhir.run import Json, Leaf, NodeChange, Parts, Place, Run, Treatment, redacted
from medlock.deid.fhir.substitute import Substitution
from medlock.errors import Unprocessable
from medlock.fhir.structures import resource_types

DATES: Final = frozenset({"date", "dateTime", "instant"})
NUMBERS: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_LEAST: Final = {"positiveInt": 1, "unsignedInt": 0}
_ID: Final = r"[A-Za-z0-9\-.]{1,64}"
_REFERENCES: Final = (
    re.compile(
        rf"(?P<before>(?:https?://[A-Za-z0-9\\/.:%$]*)?(?:{'|'.join(sorted(resource_types()))})/)"
        rf"(?P<id>{_ID})(?P<after>/_history/{_ID})?"
    ),
    re.compile(r"(?P<before>urn:oid:)(?P<id>[0-2](?:\.(?:0|[1-9][0-9]*))+)(?P<after>)"),
    re.compile(r"(?P<before>urn:uuid:)(?P<id>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?P<after>)"),
)


class Keep:
    """As it is. `counts` when no rule asked for it: then strings that pass are counted."""

    def __init__(self, *, counts: bool = False) -> None:
        self._counts = counts

    def leaf(self, _place: Place) -> Leaf:
        """The value."""
        return _counted if self._counts else _same

    def node(self, _place: Place) -> NodeChange | None:
        """Part by part, for earlier rules may have decided about some."""
        return None


def _same(value: Any, _run: Run) -> Any:
    return value


def _counted(value: Any, run: Run) -> Any:
    run.unruled += type(value) is str
    return value


@dataclass(frozen=True)
class Redact:
    """Removed; by the parameters, dates keep the year, ages up to 89 stay, ZIP codes keep three digits."""

    parameters: Parameters

    def leaf(self, place: Place) -> Leaf:
        """By what stands there."""
        if place.kind in DATES:
            return self._year if self.parameters.enable_partial_dates_for_redact else _removed
        if place.kind == "decimal" and place.owner == "Age":
            return _young if self.parameters.enable_partial_ages_for_redact else _removed
        if place.name == "postalCode":
            return self._area if self.parameters.enable_partial_zip_codes_for_redact else _removed
        return _removed

    def node(self, _place: Place) -> NodeChange | None:
        """Part by part."""
        return None

    def _year(self, value: Any, run: Run) -> str | None:
        if type(value) is not str or not value:
            return None
        run.marks |= Mark.REDACTED
        return year_of(value, run.today)

    def _area(self, value: Any, run: Run) -> str | None:
        if type(value) is not str or not value:
            return None
        run.marks |= Mark.ABSTRACTED
        kept = "" if value.startswith(self.parameters.restricted_zip_code_tabulation_areas) else value[:3]
        return kept + re.sub(r"\d", "0", value[len(kept) :])


def _removed(value: Any, run: Run) -> None:
    if value not in (None, ""):
        redacted(run)


def _young(value: Any, run: Run) -> Any:
    if value is None:
        return None
    run.marks |= Mark.REDACTED
    return value if type(value) in {int, float} and value <= AGE_MAX else None


@dataclass(frozen=True)
class DateShift:
    """Days moved by Microsoft's formula: one offset per resource, file or folder. `prefix` names the latter two."""

    parameters: Parameters
    rank: int
    prefix: str = ""

    def leaf(self, place: Place) -> Leaf:
        """Dates move, all else stays."""
        return self._shift if place.kind in DATES else _same

    def node(self, _place: Place) -> NodeChange | None:
        """Part by part."""
        return None

    def _shift(self, value: Any, run: Run) -> str | None:
        if type(value) is not str or not value:
            return None
        moved = shifted(value, self._days(run), run.today)
        run.marks |= Mark.PERTURBED if moved else Mark.REDACTED
        if moved or not self.parameters.enable_partial_dates_for_redact:
            return moved
        return year_of(value, run.today)

    def _days(self, run: Run) -> int:
        fixed = self.parameters.date_shift_fixed_offset_in_days
        if fixed is not None:
            return fixed
        before, after, rank = run.root_ids
        own = after if run.depth > 1 or rank < self.rank else before
        return shift_days(self.prefix or own, self.parameters.date_shift_key)


@dataclass(frozen=True)
class CryptoHash:
    """HMAC-SHA256 in hexadecimal; in references only the id is replaced."""

    key: bytes

    def leaf(self, place: Place) -> Leaf:
        """By what stands there."""
        return self._reference if (place.owner, place.name) == ("Reference", "reference") else self._value

    def node(self, _place: Place) -> NodeChange | None:
        """Part by part."""
        return None

    def digest(self, text: str) -> str:
        """64 hexadecimal digits."""
        return hmac.digest(self.key, text.encode(), "sha256").hex()

    def _value(self, value: Any, run: Run) -> str | None:
        if type(value) is not str:
            return None if value is None else redacted(run)
        run.marks |= Mark.HASHED if value else 0
        return self.digest(value) if value else None

    def _reference(self, value: Any, run: Run) -> str | None:
        if type(value) is not str or not value:
            return None
        run.marks |= Mark.HASHED
        if value[0] == "#":
            return f"#{self.digest(value[1:])}" if len(value) > 1 else value
        for form in _REFERENCES:
            found = form.fullmatch(value)
            if found is not None:
                return f"{found['before']}{self.digest(found['id'])}{found['after'] or ''}"
        return self.digest(value)


@dataclass(frozen=True)
class Encrypt:
    """AES-256-GCM under a key derived from encryptKey, in base64: nonce (12) | ciphertext | tag (16)."""

    aead: Aead

    def leaf(self, _place: Place) -> Leaf:
        """The sealed text."""
        return self._seal

    def node(self, _place: Place) -> NodeChange | None:
        """Part by part."""
        return None

    def _seal(self, value: Any, run: Run) -> str | None:
        if type(value) is not str:
            return None if value is None else redacted(run)
        run.marks |= Mark.ENCRYPTED
        return base64.b64encode(self.aead.seal(value.encode(), ENCRYPTED)).decode()


ENCRYPTED: Final = b"medlock/1/deid/encrypt"


def encryption(key: bytes) -> Aead:
    """The cipher for an encryptKey of 16, 24 or 32 bytes."""
    return Aead(extract(ENCRYPTED, key))


@dataclass(frozen=True)
class Perturb:
    """Keyed uniform noise of width `span`, or `span` times the value; rounded, integers to whole numbers."""

    prf: Prf
    span: float
    proportional: bool
    digits: int

    def leaf(self, place: Place) -> Leaf:
        """Numbers change, all else stays."""
        if place.kind not in NUMBERS:
            return _same

        def perturbed(value: Any, run: Run) -> float | None:
            return self._noisy(value, place, run) if type(value) in {int, float} else None

        return perturbed

    def node(self, _place: Place) -> NodeChange | None:
        """Part by part: of a Quantity only the value is a number."""
        return None

    def _noisy(self, value: float, place: Place, run: Run) -> float:
        run.marks |= Mark.PERTURBED
        whole = place.kind != "decimal" or self.digits == 0
        text = "\x1f".join((run.root_ids[0], *run.kinds, place.owner, place.name, repr(value)))
        width = abs(value) * self.span if self.proportional else self.span
        noise = (self.prf.label(text.encode()) / 2**63 - 0.5) * width
        exact = Decimal(str(value)) + Decimal(noise)
        rounded = exact.quantize(Decimal(1).scaleb(0 if whole else -self.digits), ROUND_HALF_EVEN)
        number = max(rounded, Decimal(_LEAST.get(place.kind, rounded)))
        return int(number) if whole else float(number)


class Generalize:
    """The first case whose condition holds, or is empty, gives the value (FHIRPath on `$this`)."""

    def __init__(self, cases: Mapping[str, str], *, keeps_others: bool) -> None:
        self._cases = [(compile_path(test), compile_path(value)) for test, value in cases.items()]
        self._keeps = keeps_others

    def leaf(self, place: Place) -> Leaf:
        """The general value."""

        def general(value: Any, run: Run) -> Any:
            if value is None:
                return None
            run.marks |= Mark.GENERALIZED
            node = Node(value, place.kind, place.name)
            scope = Scope([node], node)
            for test, result in self._cases:
                if truth_of(test(scope)) is not False:
                    found = result(scope)
                    return found[0].value if found else None
            return value if self._keeps else None

        return general

    def node(self, place: Place) -> NodeChange | None:
        """Not for objects: raises Unprocessable, unless it is what stands beside a plain value."""
        return None if place.kind == "Element" else _refuse


def _refuse(_value: Json, _run: Run, _parts: Parts) -> Json | None:
    raise Unprocessable("A generalize rule reaches an object; it can only be applied to plain values.")


def treatment_of(rank: int, rule: Rule, parameters: Parameters, key: bytes, prefix: str = "") -> Treatment:
    """The treatment of one of Microsoft's methods. `key`, 32 bytes, stands in for keys that the file leaves empty."""
    hashing = parameters.crypto_hash_key.encode() or derive(key, "medlock/1/deid/crypto-hash")
    sealing = parameters.encrypt_key.encode() or derive(key, "medlock/1/deid/encrypt-key")
    made: dict[Method, Callable[[], Treatment]] = {
        Method.KEEP: Keep,
        Method.REDACT: lambda: Redact(parameters),
        Method.DATE_SHIFT: lambda: DateShift(parameters, rank, prefix),
        Method.CRYPTO_HASH: lambda: CryptoHash(hashing),
        Method.ENCRYPT: lambda: Encrypt(encryption(sealing)),
        Method.SUBSTITUTE: lambda: Substitution(rule.settings["replaceWith"]),
        Method.PERTURB: lambda: _perturb(rule.settings, key),
        Method.GENERALIZE: lambda: _generalize(rank, rule),
    }
    return made[rule.method]()


def _generalize(rank: int, rule: Rule) -> Generalize:
    keeps = str(rule.settings.get("otherValues", "")).lower() == "keep"
    return Generalize(cases_of(rank + 1, rule.settings), keeps_others=keeps)


def _perturb(settings: Mapping[str, Any], key: bytes) -> Perturb:
    proportional = str(settings.get("rangeType", "")).lower() == "proportional"
    prf = Prf(derive(key, "medlock/1/deid/perturb"))
    return Perturb(prf, float(settings["span"]), proportional, int(settings.get("roundTo", 2)))
