"""Examples of resources as common senders write them, filled with random values.

shapes.ndjson holds one resource a line, our own, valid FHIR R4 once filled. Strings in it may hold placeholders
(`$uuid`, `$time`, `$words`, `$number`, …; all of them in `_random`). A coding whose code is a placeholder gets a
code and name that belong together, and a concept's text repeats the name, as senders do.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from dictionary_terms import BY_SYSTEM

from medlock.fhir.clinic.chance import Chance

SHAPES = Path(__file__).with_name("shapes.ndjson")
_LAST = date(2026, 11, 23)
_PLACEHOLDER = re.compile(r"\$([A-Za-z0-9]+)")
_SYLLABLES = (
    *("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui"),
    *("ro", "su", "ta", "ve", "wi", "xo", "yu", "zan", "ther", "mer", "dal"),
)


def shape_resources(chance: Chance, rounds: int) -> Iterator[dict[str, Any]]:
    """Every shape, filled anew in each round, with some of its optional members left out."""
    shapes = [json.loads(line) for line in SHAPES.read_text("utf-8").splitlines()]
    for number in range(rounds):
        for shape in shapes:
            kept = {name: value for name, value in shape.items() if name in _KEPT or not chance.happens(0.12)}
            yield fill(shape if number == 0 else kept, chance)


# Left out of a shape, these would make the sample an invalid resource or a strange one.
_KEPT = frozenset({
    "resourceType", "status", "intent", "code", "subject", "patient", "class", "category", "vaccineCode", "item",
    "type", "use", "provider", "outcome", "insurance", "content", "target", "agent", "scope", "provision", "payor",
    "beneficiary", "participant", "entry", "mode", "actual", "created", "priority", "insurer", "identifier", "series",
    "lifecycleStatus", "description", "recorded", "policyRule", "start", "end", "relationship", "contentType",
    "medicationCodeableConcept", "medicationReference", "occurrenceDateTime", "title",
})  # fmt: skip


def fill(shape: dict[str, Any], chance: Chance) -> dict[str, Any]:
    """A resource of this shape with a random id and random values for its placeholders."""
    filled: dict[str, Any] = _filled(shape, chance)
    return filled | {"id": uuid(chance)}


def _filled(value: Any, chance: Chance) -> Any:
    if isinstance(value, dict):
        made = {name: _filled(item, chance) for name, item in value.items()}
        _name_code(made, value, chance)
        _order(made)
        return made
    if isinstance(value, list):
        return [_filled(item, chance) for item in value]
    if value in {"$number", "$money", "$int"}:
        return chance.between(1, 60) if value == "$int" else chance.between(1, 9999) / 10
    return _PLACEHOLDER.sub(lambda found: _random(found[1], chance), value) if isinstance(value, str) else value


def _name_code(made: dict[str, Any], shape: dict[str, Any], chance: Chance) -> None:
    """A coding with a random code gets a code and name that belong together; its concept repeats the name."""
    known = BY_SYSTEM.get(made.get("system", ""))
    if known and str(shape.get("code", "")).startswith("$") and "display" in made and chance.happens(0.7):
        made["code"], made["display"] = chance.pick(known)
    if isinstance(made.get("coding"), list) and "text" in made:
        made["text"] = made["coding"][0].get("display", made["text"])


def _order(made: dict[str, Any]) -> None:
    """A period that was drawn backwards is turned round (per-1 of FHIR R4)."""
    if "start" in made and "end" in made and made["start"] > made["end"]:
        made["start"], made["end"] = made["end"], made["start"]


def _random(kind: str, chance: Chance) -> str:
    if kind in {"date", "time", "instant"}:
        return _moment(kind, chance)
    simple = {
        "uuid": lambda: uuid(chance),
        "words": lambda: words(chance),
        "word": lambda: _word(chance).capitalize(),
        "base64": lambda: noise(chance, 150),
        "phone": lambda: f"{chance.between(200, 999)}-555-01{chance.digits(2)}",
        "zip": lambda: "0" + chance.digits(4),
        "ssn": lambda: f"999-{chance.digits(2)}-{chance.digits(4)}",
        "code": lambda: str(chance.between(100000, 999999999)),
        "loinc": lambda: f"{chance.between(1000, 99999)}-{chance.between(0, 9)}",
        "icd": lambda: f"{chance.pick('ABCDEFIJKMNRSZ')}{chance.digits(2)}.{chance.digits(1)}",
        "cvx": lambda: str(chance.between(1, 220)),
        "digits": lambda: chance.digits(chance.between(6, 14)),
        "number": lambda: str(chance.between(1, 9999) / 10),
        "sex": lambda: chance.pick("FM"),
        "gender": lambda: chance.pick(("female", "male")),
        "prefix": lambda: chance.pick(("Mr.", "Mrs.", "Ms.")),
        "WORD": lambda: _word(chance).upper(),
        "WORDS": lambda: words(chance).upper(),
    }
    return simple[kind]()


def _moment(kind: str, chance: Chance) -> str:
    day = chance.day(date(1950, 1, 1), _LAST)
    if kind == "date":
        return day.isoformat()
    clock = f"{day.isoformat()}T{chance.between(0, 23):02d}:{chance.between(0, 59):02d}:{chance.between(0, 59):02d}"
    zone = chance.weighted((("+00:00", 3), ("-05:00", 2), ("-04:00", 2), ("Z", 2)))
    return clock + (f".{chance.digits(3)}" if kind == "instant" else "") + zone


def words(chance: Chance) -> str:
    """One to three invented words."""
    return " ".join(_word(chance) for _ in range(chance.between(1, 3)))


def _word(chance: Chance) -> str:
    return "".join(chance.pick(_SYLLABLES) for _ in range(chance.between(2, 4)))


def uuid(chance: Chance) -> str:
    """An id as servers assign them: a version 4 UUID."""
    digits = "".join(f"{chance.between(0, 255):02x}" for _ in range(16))
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{chance.pick('89ab')}{digits[17:20]}-{digits[20:]}"


def noise(chance: Chance, size: int) -> str:
    """Base64 of 40 to `size` random bytes."""
    return base64.b64encode(bytes(chance.between(0, 255) for _ in range(chance.between(40, size)))).decode()
