"""C-CDA documents (HL7 CDA R2) cleaned: default-deny by element and attribute.

Coded statements keep codes of known systems and values with units; times move like all dates of the record; section
text, titles and original texts are cleaned as prose. Whoever the document names (patient, author, custodian, everybody
in between) keeps the role and loses name, address, telecom and numbers: `nullFlavor="MSK"` says so. Attributes and
texts that no rule here lets through do not pass. Document types and entities are refused, comments left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from medlock.deid.fhir.cleaning import Cleaning
from medlock.deid.fhir.codesystems import is_allowed
from medlock.deid.fhir.ucum import is_unit

SPACE: Final = "urn:hl7-org:v3"
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_OIDS: Final = {
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
    "2.16.840.1.113883.12.292": "http://hl7.org/fhir/sid/cvx",
    "2.16.840.1.113883.6.238": "urn:oid:2.16.840.1.113883.6.238",
    "2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
    "2.16.840.1.113883.6.69": "http://hl7.org/fhir/sid/ndc",
    "2.16.840.1.113883.6.101": "http://nucc.org/provider-taxonomy",
}
_HL7: Final = re.compile(r"2\.16\.840\.1\.113883\.(?:5\.\d{1,5}|1\.11\.\d{1,5}|12\.\d{1,4}|3\.88\.12\.[\d.]{1,20})")
_STRUCTURAL: Final = frozenset(
    {"classCode", "moodCode", "typeCode", "determinerCode", "contextConductionInd", "contextControlCode",
     "inversionInd", "negationInd", "nullFlavor", "operator", "institutionSpecified", "independentInd", "mediaType",
     "listType", "styleCode", "border", "width", "colspan", "rowspan", "align", "inclusive", "qualifier"}
)  # fmt: skip
_PLAIN: Final = re.compile(r"[A-Za-z0-9%/ .-]{1,24}")
_TIMES: Final = frozenset(
    {"time", "effectiveTime", "low", "high", "center", "birthTime", "deceasedTime", "availabilityTime"}
)
_PROSE: Final = frozenset({"title", "originalText", "reference"})
_MASKED: Final = frozenset(
    {"name", "addr", "telecom", "desc", "streetAddressLine", "birthplace", "manufacturerModelName", "softwareName",
     "signatureText", "lotNumberText", "observationMedia"}
)  # fmt: skip
_TS: Final = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d[\d.]*)?([+-]\d{4})?", re.ASCII)
_TEMPLATE: Final = re.compile(
    r"2\.16\.840\.1\.113883\.(?:10\.|3\.88\.11\.)[\d.]{1,40}|1\.3\.6\.1\.4\.1\.19376\.[\d.]{1,40}"
)
_HL7_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}|\d{1,4}-\d|\d{1,3}")


def cleaned_cda(source: bytes, cleaning: Cleaning) -> bytes | None:
    """A ClinicalDocument, cleaned; None for what is none or cannot be read safely."""
    root = _parsed(source)
    if root is None or root.tag != f"{{{SPACE}}}ClinicalDocument":
        return None
    ET.register_namespace("", SPACE)
    ET.register_namespace("xsi", _XSI[1:].partition("}")[0])
    _clean(root, cleaning, prose=False)
    return ET.tostring(root, encoding="unicode", xml_declaration=False).encode()


def _parsed(source: bytes) -> ET.Element | None:
    """The document without comments and instructions; a document type is refused, and entities with it."""
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")

    def name(text: str) -> str:
        return "{" + text if "}" in text else text

    def refuse(*_args: object) -> None:
        raise ValueError("a document type")

    parser.StartElementHandler = lambda tag, attrs: builder.start(name(tag), {name(k): v for k, v in attrs.items()})
    parser.EndElementHandler = lambda tag: builder.end(name(tag))
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(source, True)  # noqa: FBT003 - expat's own signature
        return builder.close()
    except (expat.ExpatError, ValueError, AssertionError):
        return None


def _clean(element: ET.Element, cleaning: Cleaning, *, prose: bool) -> None:
    """One element and all below it, in place. `prose` is true inside section text."""
    tag = element.tag.rpartition("}")[2]
    prose = prose or tag in _PROSE or (tag == "text" and element.tag.startswith(f"{{{SPACE}}}"))
    if (tag in _MASKED and not prose) or "representation" in element.attrib:  # base64 hides what it holds
        _mask(element)
        return
    attributes = dict(element.attrib)
    element.attrib.clear()
    _keep_attributes(element, tag, attributes, cleaning)
    element.text = _text(element.text, cleaning, prose=prose)
    for child in element:
        child.tail = _text(child.tail, cleaning, prose=prose)
        _clean(child, cleaning, prose=prose)


def _text(text: str | None, cleaning: Cleaning, *, prose: bool) -> str | None:
    if not text or not text.strip():
        return text
    return cleaning.text(text) if prose else None


def _mask(element: ET.Element) -> None:
    for child in list(element):
        element.remove(child)
    element.attrib.clear()
    element.text = None
    element.set("nullFlavor", "MSK")


def _keep_attributes(element: ET.Element, tag: str, attributes: dict[str, str], cleaning: Cleaning) -> None:
    for key in attributes.keys() & (_STRUCTURAL | {_XSI}):
        if _PLAIN.fullmatch(attributes[key].replace("_", "-")):
            element.set(key, attributes[key])
    how: Callable[[ET.Element, dict[str, str], Cleaning], None] = _SPECIAL.get(tag, _coded)
    (_timed if tag in _TIMES else how)(element, attributes, cleaning)


def _timed(element: ET.Element, attributes: dict[str, str], cleaning: Cleaning) -> None:
    if "value" in attributes:
        moved = moved_time(attributes["value"], cleaning)
        element.set("value" if moved else "nullFlavor", moved or "MSK")


def moved_time(text: str, cleaning: Cleaning) -> str | None:
    """A time stamp of HL7 v3 (YYYYMMDDHHMMSS.UUUU+ZZZZ) as the record's dates go; None when it must go."""
    found = _TS.fullmatch(text)
    if found is None:
        return None
    year, month, day, clock, zone = found.groups()
    new = cleaning.date("-".join(part for part in (year, month, day) if part))
    if new is None:
        return None
    return new.replace("-", "") + ((clock or "") + (zone or "") if len(new) == 10 and day else "")


def _identified(element: ET.Element, attributes: dict[str, str], cleaning: Cleaning) -> None:
    """An id: one pseudonym for root and extension together."""
    if "nullFlavor" not in attributes and attributes:
        both = attributes.get("root", "") + "|" + attributes.get("extension", "")
        element.set("root", cleaning.id(both))


def _template(element: ET.Element, attributes: dict[str, str], _cleaning: Cleaning) -> None:
    if _TEMPLATE.fullmatch(attributes.get("root", "")):
        element.set("root", attributes["root"])
        if re.fullmatch(r"\d{4}-\d\d-\d\d", attributes.get("extension", "")):
            element.set("extension", attributes["extension"])  # the release of the template


def _type_id(element: ET.Element, attributes: dict[str, str], _cleaning: Cleaning) -> None:
    if attributes.get("root") == "2.16.840.1.113883.1.3" and attributes.get("extension") == "POCD_HD000040":
        element.attrib |= {"root": attributes["root"], "extension": attributes["extension"]}


def _coded(element: ET.Element, attributes: dict[str, str], cleaning: Cleaning) -> None:
    """Codes of known systems with their display, numbers with their units."""
    code, oid = attributes.get("code"), attributes.get("codeSystem")
    if code is not None and oid is None and re.fullmatch(r"[A-Z]{2}|[a-z]{2}(?:-[A-Z]{2})?", code):
        element.set("code", code)
    elif code is not None and oid is not None and _is_known(oid, code):
        element.attrib |= {"code": code, "codeSystem": oid}
        if "displayName" in attributes:
            element.set("displayName", cleaning.term(attributes["displayName"]))
    elif code is not None:
        element.set("nullFlavor", "MSK")
    if re.fullmatch(r"-?\d{1,7}(?:\.\d{1,9})?|true|false", attributes.get("value", "")):
        element.set("value", attributes["value"])
    if is_unit(attributes.get("unit", "")):
        element.set("unit", attributes["unit"])


def _is_known(oid: str, code: str) -> bool:
    system = _OIDS.get(oid)
    if system is not None:
        return is_allowed(system, code)
    return (
        _HL7.fullmatch(oid) is not None
        and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}|\d{1,4}-\d|\d{1,3}", code) is not None
    )


_SPECIAL: Final = {
    "id": _identified,
    "setId": _identified,
    "templateId": _template,
    "typeId": _type_id,
}
