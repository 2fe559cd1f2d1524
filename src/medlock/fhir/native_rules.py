"""Invariants written by hand, because the official form is slow.

Ordinary resources meet most of these all the time, and a hand-written one is ten times faster; ig-1 and ig-2
would take quadratic time on long lists. Each says the same as the official FHIRPath of its key:
tests/fhir/test_native_rules.py holds the two together on generated elements. A predicate gets the element and
answers whether the rule holds. Members of a wrong type are somebody else's finding: here they must only not
raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from medlock.fhir.fhirpath_nodes import compare
from medlock.fhir.structures import json_names

Json = dict[str, Any]

_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_IN_ERROR: Final = ("entered-in-error",)
_ENDED: Final = ("resolved", "remission", "inactive")


def per_1(period: Json) -> bool:
    """A Period does not end before it starts, as far as its precision can tell."""
    start, end = period.get("start"), period.get("end")
    if type(start) is not str or type(end) is not str:
        return True
    if len(start) == len(end) and start[-6:] == end[-6:]:  # the same zone: the order of the texts is that of time
        return start <= end
    order = compare(start, end)
    return order is None or order <= 0


def obs_6(observation: Json) -> bool:
    """Only without a value is there a dataAbsentReason."""
    return "dataAbsentReason" not in observation or json_names("Observation", "value").isdisjoint(observation)


def obs_7(observation: Json) -> bool:
    """No value beside a component with the same code."""
    if "component" not in observation or json_names("Observation", "value").isdisjoint(observation):
        return True
    own = set(map(_canonical, _codings(observation)))
    codings = (coding for component in _items(observation, "component") for coding in _codings(component))
    return own.isdisjoint(map(_canonical, codings))


def qty_3(quantity: Json) -> bool:
    """A code has a system."""
    return "system" in quantity or ("code" not in quantity and "_code" not in quantity) or "_system" in quantity


def cpt_2(contact: Json) -> bool:
    """A value has a system."""
    return "system" in contact or ("value" not in contact and "_value" not in contact) or "_system" in contact


def att_1(attachment: Json) -> bool:
    """Data has a content type."""
    if "contentType" in attachment or "_contentType" in attachment:
        return True
    return "data" not in attachment and "_data" not in attachment


def org_1(organization: Json) -> bool:
    """A name or an identifier."""
    return "name" in organization or "_name" in organization or bool(organization.get("identifier"))


def not_home(item: Any) -> bool:
    """org-2 and org-3: an organization has no home."""
    return not (isinstance(item, dict) and item.get("use") == "home")


def dom_2(resource: Json) -> bool:
    """A contained resource contains none."""
    return not any(item.get("contained") for item in _items(resource, "contained"))


def dom_4(resource: Json) -> bool:
    """A contained resource has no version of its own."""
    keys = {"versionId", "_versionId", "lastUpdated", "_lastUpdated"}
    return all(keys.isdisjoint(meta) for meta in _contained_metas(resource))


def dom_5(resource: Json) -> bool:
    """A contained resource has no security label of its own."""
    return not any(meta.get("security") for meta in _contained_metas(resource))


def ait_1(allergy: Json) -> bool:
    """An allergy that was not entered in error has a clinical status."""
    return "clinicalStatus" in allergy or _is_verified_as(allergy, "allergyintolerance-verification")


def ait_2(allergy: Json) -> bool:
    """An allergy entered in error has none."""
    return "clinicalStatus" not in allergy or not _is_verified_as(allergy, "allergyintolerance-verification")


def con_4(condition: Json) -> bool:
    """A condition that has ended is not active."""
    if json_names("Condition", "abatement").isdisjoint(condition):
        return True
    return _has_coding(condition.get("clinicalStatus"), "condition-clinical", _ENDED)


def con_5(condition: Json) -> bool:
    """A condition entered in error has no clinical status."""
    return "clinicalStatus" not in condition or not _is_verified_as(condition, "condition-ver-status")


def bdl_5(entry: Json) -> bool:
    """An entry has something in it."""
    return "resource" in entry or "request" in entry or "response" in entry


def bdl_8(entry: Json) -> bool:
    """A fullUrl names no version."""
    url = entry.get("fullUrl")
    return type(url) is not str or "/_history/" not in url


def ig_1(definition: Json) -> bool:
    """A guide's resources are in its groupings."""
    known = {repr(each["id"]) for each in _items(definition, "grouping") if "id" in each}
    return all(repr(each["groupingId"]) in known for each in _items(definition, "resource") if "groupingId" in each)


def ig_2(guide: Json) -> bool:
    """A guide's resources are for versions of FHIR that the guide is for."""
    versions = guide.get("fhirVersion")
    known = set(map(repr, versions if type(versions) is list else ()))
    named = (each.get("fhirVersion") for each in _items(guide.get("definition"), "resource"))
    return all(repr(version) in known for listed in named if type(listed) is list for version in listed)


NATIVE: Final[dict[str, Callable[[Any], bool]]] = {
    "ait-1": ait_1,
    "ait-2": ait_2,
    "att-1": att_1,
    "bdl-5": bdl_5,
    "bdl-8": bdl_8,
    "con-4": con_4,
    "con-5": con_5,
    "cpt-2": cpt_2,
    "dom-2": dom_2,
    "dom-4": dom_4,
    "dom-5": dom_5,
    "ig-1": ig_1,
    "ig-2": ig_2,
    "obs-6": obs_6,
    "obs-7": obs_7,
    "org-1": org_1,
    "org-2": not_home,
    "org-3": not_home,
    "per-1": per_1,
    "qty-3": qty_3,
}


def _items(owner: Any, name: str) -> Iterator[Json]:
    """The objects in a list member."""
    items = owner.get(name) if type(owner) is dict else None
    return (item for item in items if type(item) is dict) if type(items) is list else iter(())


def _is_verified_as(resource: Json, system: str) -> bool:
    """True when the verification status, of this code system, is entered-in-error."""
    return _has_coding(resource.get("verificationStatus"), system, _IN_ERROR)


def _has_coding(concept: Any, system: str, codes: tuple[str, ...]) -> bool:
    url = f"{_TERMINOLOGY}/{system}"
    return any(each.get("system") == url and each.get("code") in codes for each in _items(concept, "coding"))


def _canonical(coding: Json) -> bytes:
    """A coding as text that is the same for equal codings."""
    return orjson.dumps(coding, option=orjson.OPT_SORT_KEYS)


def _codings(owner: Json) -> Iterator[Json]:
    return _items(owner.get("code"), "coding")


def _contained_metas(resource: Json) -> Iterator[Json]:
    metas = (item.get("meta") for item in _items(resource, "contained"))
    return (meta for meta in metas if type(meta) is dict)
