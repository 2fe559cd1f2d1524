"""The allow-list of code systems, and what a code of each looks like.

Vendors put record numbers and names into codings of their own systems, so a coding whose system is not on the list is
dropped whole, and one whose code does not have the form of its system as well: SNOMED CT identifiers are checked by
their Verhoeff digit, LOINC by its Luhn digit. The list can be extended by the caller, system by system.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from medlock.deid.fhir.ucum import is_unit
from medlock.deid.fhir.vocabulary import CURRENCIES, is_language

_LOINC: Final = re.compile(r"([0-9]{1,7})-([0-9])", re.ASCII)
_LOINC_PART: Final = re.compile(r"L[APGL][0-9]{1,6}-[0-9]", re.ASCII)
_TURN: Final = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
                (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
                (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
                (9, 8, 7, 6, 5, 4, 3, 2, 1, 0))  # fmt: skip
_MOVE: Final = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
                (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
                (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8))  # fmt: skip


def is_snomed(code: str) -> bool:
    """A SNOMED CT identifier: 6 to 18 digits that satisfy Verhoeff's check."""
    if not (code.isascii() and code.isdigit() and 6 <= len(code) <= 18):
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = _TURN[check][_MOVE[place % 8][int(digit)]]
    return check == 0


def is_loinc(code: str) -> bool:
    """A LOINC number: digits, a hyphen and a Luhn check digit; or a part, answer or group, known by its letters."""
    found = _LOINC.fullmatch(code)
    if found is None:
        return _LOINC_PART.fullmatch(code) is not None
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(found[1]))]
    return (10 - sum(value // 10 + value % 10 for value in doubled) % 10) % 10 == int(found[2])


def _form(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda code: compiled.fullmatch(code) is not None


_ICD_10: Final = _form(r"[A-Z][0-9][0-9AB](?:\.?[0-9A-Z]{1,4})?[*+!]?")
_ICD_10_PCS: Final = _form(r"[0-9BCDFGHX][0-9A-HJ-NP-Z]{6}")
_WORD: Final = _form(r"[A-Za-z*+/<>=._-]*[0-9]{0,4}[A-Za-z*+/<>=._-]{0,40}[0-9]{0,3}")
_OID: Final = _form(r"1\.2\.840\.10008(?:\.[0-9]{1,5}){1,12}")  # DICOM's own root only
_CIEL: Final = _form(r"(?=.{36}$)[0-9]{1,6}A{30,35}")  # OpenMRS writes these under the names of other systems
SYSTEMS: Final[dict[str, Callable[[str], bool]]] = {
    "http://snomed.info/sct": is_snomed,
    "http://loinc.org": is_loinc,
    "http://www.nlm.nih.gov/research/umls/rxnorm": _form(r"[0-9]{1,7}"),
    "http://hl7.org/fhir/sid/icd-10": _ICD_10,
    "http://hl7.org/fhir/sid/icd-10-cm": _ICD_10,
    "http://hl7.org/fhir/sid/icd-10-pcs": _ICD_10_PCS,
    "http://www.cms.gov/Medicare/Coding/ICD10": _ICD_10_PCS,
    "http://hl7.org/fhir/sid/icd-10-de": _ICD_10,
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": _ICD_10,
    "http://hl7.org/fhir/sid/icd-9-cm": _form(r"[EV]?[0-9]{2,3}(?:\.[0-9]{1,2})?"),
    "http://hl7.org/fhir/sid/cvx": _form(r"[0-9]{1,3}"),
    "http://hl7.org/fhir/sid/mvx": _form(r"[A-Z]{2,3}"),
    "http://hl7.org/fhir/sid/ndc": _form(r"[0-9]{4,5}-[0-9]{3,4}-[0-9]{1,2}|[0-9]{10,11}"),
    "http://hl7.org/fhir/ndfrt": _form(r"N[0-9]{10}"),
    "http://fdasis.nlm.nih.gov": _form(r"[0-9A-Z]{10}"),
    "http://www.ama-assn.org/go/cpt": _form(r"[0-9]{4}[0-9FTU]"),
    "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": _form(r"[A-V][0-9]{4}"),
    "http://www.whocc.no/atc": _form(r"[A-V](?:[0-9]{2}(?:[A-Z](?:[A-Z](?:[0-9]{2})?)?)?)?"),
    "http://nucc.org/provider-taxonomy": _form(r"[0-9A-Z]{9}X"),
    "http://www.nubc.org/patient-discharge": _form(r"[0-9]{2}"),
    "http://dicom.nema.org/resources/ontology/DCM": _form(r"[A-Z]{1,8}|[0-9]{6}"),
    "urn:ietf:rfc:3986": _OID,
    "http://unitsofmeasure.org": is_unit,
    "urn:ietf:bcp:47": is_language,
    "urn:iso:std:iso:4217": lambda code: code in CURRENCIES,
    "urn:oid:2.16.840.1.113883.6.238": _form(r"[0-9]{4}-[0-9]"),  # CDC race and ethnicity
    "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem": _form(r"urn:(?:ihe|hl7-org):[A-Za-z0-9:._-]{1,60}"),
    "https://bluebutton.cms.gov/resources/codesystem/adjudication": _form(
        r"https://bluebutton\.cms\.gov/resources/variables/[a-z_]{1,40}"
    ),
    "https://bluebutton.cms.gov/resources/variables/line_cms_type_srvc_cd": _form(r"[0-9A-Z]{1,2}"),
    "http://www.genenames.org": _form(r"HGNC:[0-9]{1,6}"),
    "http://human-phenotype-ontology.org": _form(r"HP:[0-9]{7}"),
}
_PUBLISHED: Final = re.compile(
    r"http://(?:terminology\.hl7\.org/CodeSystem|hl7\.org/fhir(?:/us/core)?(?:/CodeSystem)?(?:/v[23])?)/"
    r"(?:[A-Za-z][A-Za-z-]{1,60}|v2-[0-9]{4}|v3-[A-Za-z]{2,40}|[0-9]{4})"
)


@lru_cache(maxsize=16_384)
def is_allowed(system: str, code: str) -> bool:
    """True when the system is on the list and the code has its form. HL7's own systems are known by their address."""
    form = SYSTEMS.get(system)
    if form is not None:
        return form(code) or _CIEL(code)
    return _PUBLISHED.fullmatch(system) is not None and len(code) <= 48 and _WORD(code)


@lru_cache(maxsize=1_024)
def is_known_system(system: str) -> bool:
    """True when a system is on the list, whatever the code."""
    return system in SYSTEMS or _PUBLISHED.fullmatch(system) is not None
