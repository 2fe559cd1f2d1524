"""What the compression dictionary is trained on: resources as the store seals them, with nobody in them.

Two sources. The synthetic clinic, many seeds with few patients each; what would be personal in it (names, streets,
the text of notes) is replaced by noise, so that the dictionary learns structure and not our stories. And
shapes.ndjson: our own examples of the resource types that common senders use (US Core, claims, imaging, devices),
filled with random values at each use, so that structure and terminology addresses recur and values do not.

No record of a real person and no third party's sample data goes in: a dictionary repeats what it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
from dictionary_shapes import noise, uuid, words

from medlock.clock import instant
from medlock.fhir.clinic import clinic
from medlock.fhir.clinic.chance import Chance
from medlock.fhir.document import with_identity
from medlock.store.bodies import Meta

TODAY = date(2026, 11, 23)
_encode = msgspec.msgpack.Encoder().encode


def clinic_resources(seed: int, patients: int) -> Iterator[dict[str, Any]]:
    """The clinic's resources under random ids as a server would assign them, half of them without our own tag."""
    chance = Chance("corpus", seed)
    names: dict[str, str] = {}
    for bundle in clinic(seed, patients, today=TODAY):
        for entry in bundle["entry"]:
            names[entry["request"]["url"]] = f"{entry['resource']['resourceType']}/{uuid(chance)}"
        for entry in bundle["entry"]:
            yield _anonymous(entry["resource"], names, chance)


def _anonymous(resource: dict[str, Any], names: dict[str, str], chance: Chance) -> dict[str, Any]:
    own = names[f"{resource['resourceType']}/{resource['id']}"]
    renamed: dict[str, Any] = _blurred(_renamed(resource, names), chance)
    renamed["id"] = own.split("/")[1]
    if chance.happens(0.5):
        del renamed["meta"]["tag"]
    for content in renamed.get("content", []):
        content["attachment"]["data"] = noise(chance, 200)
    return {name: value for name, value in renamed.items() if value}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


_PERSONAL = frozenset({"text", "family", "given", "line", "city", "postalCode"})


def _blurred(value: Any, chance: Chance) -> Any:
    """The value with names, addresses, narratives and displays of references replaced by invented words."""
    if isinstance(value, list):
        return [_blurred(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    person = not value.keys().isdisjoint({"family", "given", "line"})
    hidden = (_PERSONAL if person else frozenset()) | ({"display"} if "reference" in value else frozenset())
    made = {name: _invented(item, chance) if name in hidden else _blurred(item, chance) for name, item in value.items()}
    if "div" in made:
        made["div"] = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words(chance)}</p></div>'
    return made


def _invented(value: Any, chance: Chance) -> Any:
    return [words(chance)] if isinstance(value, list) else words(chance)


def stored(resource: dict[str, Any], chance: Chance) -> bytes:
    """The bytes that the store compresses for a resource (docs/spec/store.md §3): meta, then minified JSON."""
    kind, ident = resource["resourceType"], resource.get("id") or uuid(chance)
    milliseconds = 1_700_000_000_000 + chance.between(0, 10**11)
    updated = instant(milliseconds)
    version = chance.weighted(((1, 8), (2, 1), (3, 1)))
    body = with_identity(msgspec.json.encode(resource), kind, ident, version, updated)
    patient = resource.get("subject", resource.get("patient", resource.get("beneficiary", {}))).get("reference", "")
    patients = (patient.split("/")[-1],) if patient.startswith("Patient/") else ()
    labels = tuple(f"{label['system']}|{label['code']}" for label in resource.get("meta", {}).get("security", []))
    head = _encode(Meta(kind, ident, version, milliseconds, patients, labels))
    return len(head).to_bytes(2, "big") + head + body
