"""Numbers and codes that stand for one person or thing: SSN, record, plan, account, licence, vehicle, device, others.

A number says little by itself (a platelet count, a dose), so the words before it decide: each candidate that holds
a digit is looked at once, with the cues that may stand in the forty characters before it. Formats that nothing else
has (SSN, VIN, a letter prefix with six digits) count without a cue, with less confidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from medlock.deid.text.spans import Kind, Span

# A run of letters, digits and the marks that are written inside such codes, holding a digit.
_CODE = re.compile(r"(?<![\w/.#-])#?(?:[^\W\d]++[-/.]?)*+\d(?:\w|[-/.](?=\w))*")
_GROUPS = re.compile(r"(?<![\w.,/-])\d{1,10}(?:[ -]\d{1,10}){1,4}(?:[ -]?[A-Z])?(?![\w/%]|[.,]\d)")
_LINK = re.compile(
    r"(?:\s*(?:is|are|was|of|es|de|del|n[ºo°.]|no\.?|num(?:ber|\.)?|n[uú]m(?:ero|\.)?|id|code|card|#|:|=|\(|"
    r"-))*+\s*[#:=(]*\s*",
    re.IGNORECASE,
)
# What stands before a number and says whose it is. Of the cues before a number the first that leads up to it counts.
_CUES: tuple[tuple[Kind, str], ...] = (
    (Kind.SSN, r"ssn?|social security|s\.s\.n?\.?"),
    (
        Kind.MRN,
        (
            r"mrn|e?mr|med(?:ical|\.)?[\s-]*rec(?:ord|\.)?s?|record|chart|patient|pt|hospital|nhc|cipa|"
            r"historia(?: cl[ií]nica)?|"
            r"n\.?h\.?c\.?|episodio|encounter|visit|case|file|expediente"
        ),
    ),
    (
        Kind.PLAN,
        (
            r"insur(?:ance|er|\.)?(?: (?:plan|policy|member|subscriber))?|ins\.?|(?:health )?plan|policy|"
            r"member(?:ship)?|"
            r"subscriber|"
            r"beneficiary|group|hicn|mbi|hb?pn?|hbn|medicare|medicaid|nass|seguridad social|asegurado|p[oó]liza|"
            r"tarjeta sanitaria|cip"
        ),
    ),
    (Kind.ACCOUNT, r"acc(?:oun)?t\.?|invoice|claim|bank|iban|credit card|card|cuenta|factura|billing"),
    (
        Kind.LICENCE,
        (
            r"licen[cs]e|lic\.?|certificate|certificaci[oó]n|npi|dea|dl|driver'?s|passport|pasaporte|dni|nie|nif|"
            r"colegiado|"
            r"n?[ºo°]?\.?\s?col(?:egiad[oa])?\.?|permiso|registro|state id"
        ),
    ),
    (Kind.VEHICLE, r"vin|vehicle|plate|matr[ií]cula|registration(?: plate)?|tag"),
    (Kind.DEVICE, r"serial|s/?n|device|imei|udi|lot|mac|implant|pacemaker|model|n[uú]mero de serie"),
    (Kind.BIOMETRIC, r"fingerprint|retina|iris|voice ?print|biometric|face ?id|huella"),
    (
        Kind.ID,
        (
            r"id|identifier|identification|identificador|identificaci[oó]n|ref(?:erence|\.)?|referencia|accession|"
            r"specimen|sample|order|"
            r"study|tracking|protocol|ticket|confirmation|number|no|user(?:name)?|login|muestra"
        ),
    ),
)
_CUE = re.compile(
    "|".join(rf"(?P<{kind}>(?<![^\W\d_])(?:{words})(?![^\W\d_]))" for kind, words in _CUES), re.IGNORECASE
)
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_DNI = re.compile(r"(?<![\w-])(?:\d{8}|[XYZ]\d{7})[- ]?[A-HJ-NP-TV-Z](?![\w-])")
_VIN = re.compile(r"\b(?=[A-HJ-NPR-Z0-9]*\d)(?=[A-HJ-NPR-Z0-9]*[A-HJ-NPR-Z])[A-HJ-NPR-Z0-9]{17}\b")
_PREFIXED = re.compile(
    r"#?\b[A-Z]{1,5}-?\d{5,}[A-Z]{0,3}\b|\b[A-Z]{2,4}-\d{4,}\b|#[A-Z0-9-]*\d{5,}\b|\b\d{4,}-\d{2,}-?\d*\b"
)
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w-])(?:\d{4}[ -]){3}\d{4}(?![\w-])")
_LONG_NUMBER = re.compile(r"(?<![\w.,/-])\d{7,}(?![\w/%]|[.,]\d)")
_UNIT_AFTER = re.compile(
    r"\s?(?:[%°]|x\s?10|/|(?:m[gl]|mcg|[µu]g|g|kg|ml|mm|cm|mmol|mmhg|iu|ui?|u/l|cells|c[eé]l|leuc|hemat|plaq|copias|"
    r"copies|"
    r"years?|yrs?|yo|y/o|months?|weeks?|days?|hours?|h|hrs?|min|a[ñn]os|meses|d[ií]as|horas|times|veces|bpm|lpm)\b)",
    re.IGNORECASE,
)
_DRUG_CODE = re.compile(
    r"(?:covid|sars|ca|cd|il|hla|t|l|c|s|b|h|p|q|g|vitamin|pm|hb|ck|mu|bcl|her|nct)[- ]?\d", re.IGNORECASE
)

_FORMATS: tuple[tuple[Kind, re.Pattern[str], float], ...] = (
    (Kind.SSN, _SSN, 0.95),
    (Kind.LICENCE, _DNI, 0.9),
    (Kind.VEHICLE, _VIN, 0.9),
    (Kind.ID, _UUID, 0.98),
    (Kind.ACCOUNT, _IBAN, 0.9),
    (Kind.ACCOUNT, _CARD, 0.93),
    (Kind.ID, _PREFIXED, 0.75),
)


def find_numbers(text: str) -> Iterator[Span]:
    """All of them; finds may overlap."""
    for kind, pattern, sure in _FORMATS:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), kind, sure, f"rule:{kind.lower()}-format")
    for match in _LONG_NUMBER.finditer(text):
        if not _UNIT_AFTER.match(text, match.end()):
            yield Span(match.start(), match.end(), Kind.ID, 0.6, "rule:long-number")
    for pattern in (_CODE, _GROUPS):
        for match in pattern.finditer(text):
            yield from _cued(text, match)


def has_unit(text: str, end: int) -> bool:
    """Whether what follows makes the number before it a quantity."""
    return bool(_UNIT_AFTER.match(text, end))


def _cued(text: str, match: re.Match[str]) -> Iterator[Span]:
    """The candidate, when a cue stands before it and it is long enough to identify."""
    code = match[0].rstrip(".-/")
    digits = sum(each.isdigit() for each in code)
    before = text[max(0, match.start() - 42) : match.start()].rpartition("\n")[2]
    if digits < 3 or (digits < 5 and _UNIT_AFTER.match(text, match.end())):
        return
    for cue in _CUE.finditer(before):
        if _LINK.fullmatch(before, cue.end()):
            kind = Kind(cue.lastgroup or Kind.ID)
            if digits >= 4 or kind in {Kind.MRN, Kind.PLAN, Kind.LICENCE}:
                sure = 0.96 if kind is not Kind.ID else 0.85
                yield Span(match.start(), match.start() + len(code), kind, sure, f"rule:{kind.lower()}-cue")
            return
