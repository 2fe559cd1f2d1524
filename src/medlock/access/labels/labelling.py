"""The labels that a resource must bear: by the codes in it, and by the episode it is a note of (HL7 DS4P, SLS).

What is sensitive is also R, restricted. What speaks of substance use bears the refrain NORDSCLCD with 42 CFR Part 2 as
the basis of its restriction, since nobody but a lawyer can tell records of a Part 2 programme from others: all are
treated as such. Labels are added to what the writer gave, never taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from medlock.access.consent.codes import ACT_CODE, CONFIDENTIALITY, LABELLED
from medlock.access.labels.rules import part2, sensitivities
from medlock.fhir.bundle import NO_REDISCLOSURE

Json = Mapping[str, Any]
REDISCLOSURE: Final = f"{ACT_CODE}|{NO_REDISCLOSURE}"
_BASIS: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis"
NOTES: Final = frozenset(
    {
        "ClinicalImpression",
        "Communication",
        "Composition",
        "DiagnosticReport",
        "DocumentManifest",
        "DocumentReference",
        "Media",
        "QuestionnaireResponse",
    }
)
"""Types that tell of a whole episode, whatever code they bear themselves."""
EPISODES: Final = frozenset({"Encounter", "EpisodeOfCare"})


def codings_of(resource: Json) -> Iterator[tuple[str, str]]:
    """Every coding in a resource but those of its meta, as (system, code)."""
    waiting: list[Any] = [value for name, value in resource.items() if name != "meta"]
    while waiting:
        node = waiting.pop()
        if type(node) is dict:
            code = node.get("code")
            if type(code) is str:
                yield node.get("system", ""), code
            waiting += [each for each in node.values() if type(each) in {dict, list}]
        else:
            waiting += [each for each in node if type(each) in {dict, list}] if type(node) is list else ()


def called_for(resource: Json) -> frozenset[str]:
    """The sensitivities that a resource's own codes call for; of a Consent, those that it speaks of, too."""
    found = list(codings_of(resource))
    named = frozenset(code for system, code in found if system == ACT_CODE and resource["resourceType"] == "Consent")
    return sensitivities(found) | (named & _SPOKEN)


_SPOKEN: Final = frozenset(
    {"ETH", "ETHUD", "OPIOIDUD", "SUD", "PSY", "HIV", "SEX", "SDV", "STD", "GDIS", "PSYTHPN", "MH"}
)


def missing(given: Iterable[str], wanted: Iterable[str]) -> list[dict[str, Any]]:
    """The codings to add to `meta.security`, where these labels "system|code" are given and these codes called for."""
    have, codes = set(given), sorted(wanted)
    added: list[dict[str, Any]] = [
        {"system": ACT_CODE, "code": code} for code in codes if f"{ACT_CODE}|{code}" not in have
    ]
    protected = not part2().isdisjoint(codes)
    if protected and REDISCLOSURE not in have:
        added.append({"system": ACT_CODE, "code": NO_REDISCLOSURE})
    if codes and have.isdisjoint({f"{CONFIDENTIALITY}|R", f"{CONFIDENTIALITY}|V"}):
        added.append(_restricted(protected=protected))
    return added


def _restricted(*, protected: bool) -> dict[str, Any]:
    """Confidentiality R; with the law that asks for it, where one does (DS4P)."""
    found: dict[str, Any] = {"system": CONFIDENTIALITY, "code": "R"}
    if protected:
        found["extension"] = [{"url": _BASIS, "valueCoding": {"system": ACT_CODE, "code": "42CFRPart2"}}]
    return found


def sealed(given: Sequence[str], added: Iterable[Json]) -> tuple[str, ...]:
    """The labels that lie sealed beside the resource and in its index: all of them, and that it was looked at."""
    texts = [f"{each['system']}|{each['code']}" for each in added]
    return tuple(dict.fromkeys([*(each for each in given if each != LABELLED), *texts, LABELLED]))
