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
_CODE = re.compile(r"#?\b(?=[\w./-]*\d)[A-Za-z0-9](?:[\w]|[-/.](?=\w))*|#\d+")
_GROUPS = re.compile(r"(?<![\w.,/-])\d{1,4}(?:[ -]\d{1,10}){1,4}(?:[ -]?[A-Z])?(?![\w/%]|[.,]\d)")
_LINK = r"(?:\s*(?:is|are|was|of|es|de|del|n[ºo°.]|no\.?|num(?:ber|\.)?|n[uú]m(?:ero|\.)?|id|code|card|#|:|=|\(|-))*\s*[#:=(]*\s*$"


def _cue(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{words}){_LINK}", re.IGNORECASE)


# The first cue that fits decides.
_CUES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (Kind.SSN, _cue(r"\bssn?|social security|s\.s\.n?\.?")),
    (
        Kind.MRN,
        _cue(
            r"\bmrn|\be?mr|med(?:ical|\.)?[\s-]*rec(?:ord|\.)?s?|\brecord|\bchart|\bpatient|\bpt|\bhospital|\bnhc|\bcipa|"
            r"historia(?: cl[ií]nica)?|\bn\.?h\.?c\.?|\bepisodio|\bencounter|\bvisit|\bcase|\bfile|\bexpediente"
        ),
    ),
    (
        Kind.PLAN,
        _cue(
            r"insur(?:ance|er|\.)?(?: (?:plan|policy|member|subscriber))?|\bins\.?|\bplan|\bpolicy|\bmember(?:ship)?|"
            r"\bsubscriber|\bbeneficiary|\bgroup|\bhicn|\bmbi|\bhb?pn?|\bhbn|\bmedicare|\bmedicaid|\bnass|\bhealth plan|"
            r"seguridad social|asegurado|p[oó]liza|tarjeta sanitaria|\bcip\b"
        ),
    ),
    (
        Kind.ACCOUNT,
        _cue(r"\bacc(?:oun)?t\.?|\binvoice|\bclaim|\bbank|\biban|\bcredit card|\bcard|\bcuenta|\bfactura|\bbilling"),
    ),
    (
        Kind.LICENCE,
        _cue(
            r"licen[cs]e|\blic\.?|certificate|certificaci[oó]n|\bnpi|\bdea|\bdl|driver'?s|passport|pasaporte|\bdni|\bnie|\bnif|"
            r"colegiado|n[ºo°]?\.?\s?col(?:egiad[oa])?\.?|\bcol\.?|permiso|registro|registration|\bstate id"
        ),
    ),
    (Kind.VEHICLE, _cue(r"\bvin|vehicle|plate|matr[ií]cula|registration plate|\btag")),
    (Kind.DEVICE, _cue(r"serial|\bs/?n|\bdevice|\bimei|\budi|\blot|\bmac|implant|pacemaker|model|n[uú]mero de serie")),
    (Kind.BIOMETRIC, _cue(r"fingerprint|retina|iris|voice ?print|biometric|face ?id|huella")),
    (
        Kind.ID,
        _cue(
            r"\bid|identifier|identification|identificador|identificaci[oó]n|\bref(?:erence|\.)?|referencia|\baccession|\bspecimen|"
            r"\bsample|\border|\bstudy|\btracking|\bprotocol|\bticket|\bconfirmation|\bnumber|\bno|\buser(?:name)?|\blogin|\bmuestra"
        ),
    ),
)
_ANY_CUE = re.compile(
    r"ss|social|mr|rec|chart|pat|pt|hosp|nhc|cip|hist|epi|enc|vis|case|file|exp|ins|plan|pol|mem|sub|ben|gro|hic|mbi|hp|hb|med|"
    r"nass|seg|aseg|p[oó]l|tar|acc|inv|claim|bank|iban|card|cuen|fact|bil|lic|cert|npi|dea|dl|driv|pas|dni|nie|nif|col|per|reg|state|"
    r"vin|veh|plate|matr|tag|ser|s/?n|dev|imei|udi|lot|mac|impl|mod|fing|ret|iris|voi|bio|face|hue|id|ref|acc|spec|samp|ord|study|"
    r"track|prot|tick|conf|num|no|n[ºo°]|user|log|mues|#",
    re.IGNORECASE,
)
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_DNI = re.compile(r"(?<![\w-])(?:\d{8}|[XYZ]\d{7})[- ]?[A-HJ-NP-TV-Z](?![\w-])")
_VIN = re.compile(r"\b(?=[A-HJ-NPR-Z0-9]*\d)(?=[A-HJ-NPR-Z0-9]*[A-HJ-NPR-Z])[A-HJ-NPR-Z0-9]{17}\b")
_PREFIXED = re.compile(r"#?\b[A-Z]{1,5}-?\d{5,}[A-Z]{0,3}\b|\b[A-Z]{2,4}-\d{4,}\b|#[A-Z0-9-]*\d{5,}\b|\b\d{4,}-\d{2,}-?\d*\b")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w-])(?:\d{4}[ -]){3}\d{4}(?![\w-])")
_LONG_NUMBER = re.compile(r"(?<![\w.,/-])\d{7,}(?![\w/%]|[.,]\d)")
_UNIT_AFTER = re.compile(
    r"\s?(?:[%°]|x\s?10|/|(?:m[gl]|mcg|[µu]g|g|kg|ml|mm|cm|mmol|mmhg|iu|ui?|u/l|cells|c[eé]l|leuc|hemat|plaq|copias|copies|"
    r"years?|yrs?|yo|y/o|months?|weeks?|days?|hours?|h|hrs?|min|a[ñn]os|meses|d[ií]as|horas|times|veces|bpm|lpm)\b)",
    re.IGNORECASE,
)
_DRUG_CODE = re.compile(r"(?:covid|sars|ca|cd|il|hla|t|l|c|s|b|h|p|q|g|vitamin|pm|hb|ck|mu|bcl|her|nct)[- ]?\d", re.IGNORECASE)

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


def _cued(text: str, match: re.Match[str]) -> Iterator[Span]:
    """The candidate, when a cue stands before it and it is long enough to identify."""
    code = match[0].rstrip(".-/")
    digits = sum(each.isdigit() for each in code)
    before = text[max(0, match.start() - 42) : match.start()].rpartition("\n")[2]
    if digits < 3 or not _ANY_CUE.search(before) or (digits < 5 and _UNIT_AFTER.match(text, match.end())):
        return
    for kind, cue in _CUES:
        if cue.search(before):
            sure = 0.96 if kind is not Kind.ID else 0.85
            if digits >= 4 or kind in {Kind.MRN, Kind.PLAN, Kind.LICENCE}:
                yield Span(match.start(), match.start() + len(code), kind, sure, f"rule:{kind.lower()}-cue")
            return
