"""Names of people by form and company: titles, cue words, first names from the lists, initials, and their echo.

A capital letter proves little in clinical text (Crohn, Wells, Coumadin), so a word of the name lists counts only in
company: a title or cue before it, a surname or an initial after it, or because it is a first name that is nothing
else. Once a name is known in a document, every other place where its parts stand is a find as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from medlock.deid.text.lexicon import MEDICAL, NAME, Mark, fold, marks
from medlock.deid.text.spans import Kind, Span

_UP = "A-ZÁÉÍÓÚÜÑÇÀÈÌÒÙÂÊÎÔÛÄËÏÖ"
# Possessive and bounded, so that no text however odd makes a pattern try twice what it has read.
_WORD = rf"[{_UP}](?:['’´][{_UP}])?[^\W\d_]++(?:[-'’´][^\W\d_]++)*+"
_BEGIN = r"(?<![\w'’´-])"
_INITIAL = rf"[{_UP}]\.(?:-?[{_UP}]\.){{0,4}}+"
_LINK = (
    r"(?:(?:de|del|de la|de las|de los|la|van|von|van der|van den|der|den|di|da|dos|do|bin|ibn|al|el|y|e|i|st\.?)\s)"
)
_PART = rf"(?:{_WORD}|{_INITIAL}|[{_UP}](?![\w'’]))"
_RUN = rf"(?:{_LINK})?{_PART}(?:[ ]{_LINK}?{_PART}){{0,4}}"
_TITLES = (
    r"Dr|Drs|Dra|Mr|Mrs|Ms|Miss|Mx|Prof|Professor|Doctor|Rev|Fr|Sir|Dame|Sr|Sra|Srta|Don|Doña|Dña|D|Nurse|Sister|"
    r"Judge|Capt|Lt|Sgt|Col|"
    r"Señor|Señora|RN|PA|NP"
)
_TITLED = re.compile(rf"\b(?P<title>(?:{_TITLES})\.?ª?[ \u00a0]+(?:[Dd]r[a]?\.[ ]+)?)(?P<name>{_RUN}(?:'s)?)")
_CUES = (
    r"(?:patient|pt|client)(?:['’]s)?(?:\s(?:full\s)?name)?(?:\sis|:)?|(?:full\s|first\s|last\s|given\s|family\s|sur|"
    r"maiden\s)?name[sd]?"
    r"(?:\s(?:is|was|of))?\s?:?|called|signed(?:\sby)?:?|(?:seen|referred|reviewed|dictated|reported|consulted|"
    r"treated|evaluated|managed|"
    r"operated|diagnosed|prescribed|attended|ordered|authored|transcribed)\sby:?|attending(?:\sphysician)?:?|"
    r"physician:?|provider:?|pcp:|"
    r"surgeon:?|contact(?:\sis|:)?|mother|father|wife|husband|son|daughter|brother|sister|spouse|partner|guardian|"
    r"caregiver|"
    r"nombre(?:\sy\sapellidos)?\s*:|apellidos?\s*:|paciente\s*:|m[eé]dic[oa]\s*:|remitid[oa]\s+por\s*:?|"
    r"firmado(?:\spor)?\s*:?|"
    r"llamad[oa]|doctor[a]?|autor(?:es|a)?\s*:|responsable\s*:|contacto\s*:|for|like|with|of|in|by|cc:?|dear|re:|"
    r"regarding"
)
_CUED = re.compile(rf"(?i:(?<![\w-])(?P<cue>{_CUES}),?\s{{1,3}})(?P<name>{_RUN})")
_CUED_REVERSED = re.compile(
    rf"(?i:\b(?:patient|pt|client|re|regarding|name|"
    rf"paciente)(?:\sname)?[:.]?[ \t]+)(?P<name>{_WORD},[ ]{_WORD}(?:[ ][{_UP}]\b\.?)?)"
)
_SUBJECT = re.compile(
    rf"{_BEGIN}(?P<name>{_WORD})(?=\s(?:reports?|reported|denies|denied|states|stated|presents|presented|complains|"
    rf"complained|lives|takes|said|says|"
    r"returned|underwent|endorses|tolerated|agrees|refused|refiere|niega|acude|ingresa|presenta)\b)"
)
_SURE_CUE = re.compile(
    r"name|nombre|apellido|paciente|m[eé]dic|remitid|firmad|signed|llamad|dear|autor|attending|physician|provider|"
    r"surgeon|pcp",
    re.IGNORECASE,
)
_INITIALLED = re.compile(
    rf"(?<![/\w'’´-])(?P<name>{_WORD}[ ](?:[{_UP}]\.[ ]?)?{_INITIAL}(?=\W|$)|"
    rf"(?:{_INITIAL}[ ]?){{1,4}}+{_WORD}(?:[ ]{_WORD})?)"
)
_PAIR = re.compile(rf"{_BEGIN}{_WORD}(?:[ ](?:{_LINK}?{_WORD}|{_INITIAL}|[{_UP}]\b(?!['’])))+")
_REVERSED = re.compile(rf"{_BEGIN}(?P<last>{_WORD}),\s(?P<first>{_WORD})(?:\s(?:{_INITIAL}|[{_UP}]\b))?")
_SINGLE = re.compile(rf"\b[{_UP}][^\W\d_A-Z]+\b")
_AFTER_EPONYM = re.compile(
    r"(?:['’]s?)?(?:[-– ]+[A-Z][\w'’-]*){0,2} *(?:clinical\s|risk\s|heart\s|Heart\s|pain\s|"
    r"severity\s)?(?:[Rr]eflex(?:es)?|[Ss]igns?|"
    r"[Ss]cores?|[Ss]cales?|[Ss]yndrome|[Dd]isease|[Cc]riteria|[Tt]ests?|[Ii]ndex|[Cc]lassification|[Ss]taging|"
    r"[Ss]tage|[Cc]lass|[Gg]rade|"
    r"procedure|operation|man(?:euver|oeuvre)|palsy|phenomenon|tumou?r|lymphoma|sarcoma|[Tt]rial|[Ss]tudy|risk|"
    r"catheter|tube|repair|fracture|ulcer|"
    r"o?esophagus|thyroiditis|contracture|ataxia|chorea|[Bb]od(?:y|ies)|cells?|nodes?|diet|formula|equation|triad|"
    r"law|pattern|anomaly|"
    r"malformation|dystrophy|deficiency|angina|nephritis|neuropathy|encephal\w+|fever|virus|[Gg]uidelines?|"
    r"[Cc]onsensus|[Dd]efinition|[Rr]ules?|"
    r"[Qq]uestionnaire|[Ii]nventory|[Ee]xam(?:ination)?|position|bandage|splint|forceps|clamp|pump|drain|stent|flap|"
    r"graft|[Pp]rotocol|regimen|"
    r"lesion|spots?|nodules?|lines?|rings?|loops?|wave|respirations?|breathing|s[ií]ndrome|enfermedad|signo|escala|"
    r"[ií]ndice)\b"
)
_BEFORE_EPONYM = re.compile(
    r"(?:enfermedad|s[ií]ndrome|signo|escala|[ií]ndice|test|maniobra|tumor|clasificaci[oó]n|score|criterios|"
    r"t[eé]cnica|espacio|"
    r"fascia|conducto|foramen|prueba|syndrome|disease|stage|type|grade)\s(?:de\s(?:la\s|los\s)?)?$",
    re.IGNORECASE,
)
_NOT_NAMES = frozenset(
    "what which when where how why is are can could should would does do did has have the this that these those his "
    "her their our "
    "guidelines guideline treatment management best current latest recommended recommendations contraindications "
    "effectiveness "
    "patient pt history stage type class hospital clinic center medical health general university emergency "
    "department unit icu er "
    "january february march april may june july august september october november december monday tuesday wednesday "
    "thursday friday "
    "saturday sunday enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "informe fecha edad sexo "
    "domicilio provincia localidad nhc nass antecedentes exploracion motivo diagnostico tratamiento evolucion servicio "
    "dr dra drs sr sra srta don dona doctor doctora paciente pacientes se el la los las un una varon mujer hombre "
    "nino nina col ncol "
    "cirugia urologia medicina neurologia cardiologia pediatria oncologia nefrologia radiologia departamento unidad "
    "seccion area jefe "
    "medico medica correo telefono calle avenida plaza paseo espana remitido no si en de con por al su tras durante "
    "dear tel re cc "
    "african american hispanic caucasian asian white black latino latina native european email phone fax "
    "insurance mrn ssn id".split()
)


def find_names(text: str) -> Iterator[Span]:
    """All of them; finds may overlap."""
    for match in _TITLED.finditer(text):
        # The title goes with the name: it tells a calling and often a sex.
        for span in _kept(text, match, 0.94, "rule:name-title"):
            yield replace(span, start=match.start("title"), text=text[match.start("title") : span.end])
    for match in _CUED.finditer(text):
        sure = bool(_SURE_CUE.search(match["cue"]))
        if sure or (_likely(match["name"]) and not match["name"].isupper()):
            yield from _kept(text, match, 0.92 if sure else 0.8, "rule:name-cue")
    for match in _INITIALLED.finditer(text):
        words = list(re.findall(rf"{_WORD}", match["name"]))
        if any(marks(word) & NAME for word in words):
            yield from _kept(text, match, 0.85, "rule:name-initial")
    for match in _CUED_REVERSED.finditer(text):
        yield from _kept(text, match, 0.92, "rule:name-cue")
    for match in _SUBJECT.finditer(text):
        known = marks(match["name"])
        if known & Mark.FIRST or (known & Mark.LAST and not known & (Mark.FREQUENT | Mark.DRUG)):
            yield from _kept(text, match, 0.65, "rule:name-subject")
    yield from _listed(text)


def _listed(text: str) -> Iterator[Span]:
    for match in _PAIR.finditer(text):
        if _likely(match[0]):
            yield from _span(text, match.start(), match.end(), 0.8, "rule:name-list")
    for match in _REVERSED.finditer(text):
        if marks(match["last"]) & Mark.LAST and _first(match["first"]):
            yield from _span(text, match.start(), match.end(), 0.8, "rule:name-list")
    for match in _SINGLE.finditer(text):
        if _first(match[0]) and marks(match[0]) & Mark.USUAL_FIRST:
            yield from _span(text, match.start(), match.end(), 0.6, "rule:first-name")


def _kept(text: str, match: re.Match[str], sure: float, source: str) -> Iterator[Span]:
    start, end = match.span("name")
    words = match["name"].split()
    while words and fold(words[-1]) in _NOT_NAMES:
        end -= len(words.pop()) + 1
    if words and fold(words[0]) not in _NOT_NAMES:
        yield from _span(text, start, end, sure, source)


def _span(text: str, start: int, end: int, sure: float, source: str) -> Iterator[Span]:
    """The name, unless it is an eponym's: a sign, score or disease called after somebody."""
    if not eponymous(text, start, end):
        yield Span(start, end, Kind.NAME, sure, source, text[start:end])


def eponymous(text: str, start: int, end: int) -> bool:
    """Whether a sign, score or disease is called by what stands there."""
    return bool(_AFTER_EPONYM.match(text, end) or _BEFORE_EPONYM.search(text, max(0, start - 24), start))


def _first(word: str) -> bool:
    """Whether a word is a first name and hardly anything else."""
    known = marks(word)
    return (
        bool(known & Mark.FIRST) and not known & (Mark.DRUG | Mark.EPONYM | Mark.CITY) and fold(word) not in _NOT_NAMES
    )


def _likely(run: str) -> bool:
    """Whether a run of capitalised words reads as a name: its first word a first name, none a clinical term alone."""
    words = re.findall(r"[^\W\d_]{2,}", run)
    if not words or any(fold(word) in _NOT_NAMES or (word.isupper() and not run.isupper()) for word in words):
        return False
    first = marks(words[0])
    if not first & Mark.FIRST:
        return False
    rest = words[1:]
    if not rest:
        return _first(words[0]) and not first & MEDICAL
    return all(marks(word) & NAME or not marks(word) & (Mark.ENGLISH | MEDICAL) for word in rest)


def echoes(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """Other places where a part of a certain name stands, capitalised, as a whole word."""
    parts = {part for span in spans if span.kind is Kind.NAME and span.confidence >= 0.75 for part in _parts(span.text)}
    if not parts:
        return
    for match in re.finditer(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, sorted(parts)))})(?![^\W_])", text):
        yield from _span(text, match.start(), match.end(), 0.7, "rule:name-echo")


def _parts(name: str) -> Iterator[str]:
    for word in re.findall(r"[^\W\d_]+", name):
        known = marks(word)
        plain = known & MEDICAL or (known & Mark.FREQUENT and not known & NAME)
        if len(word) > 3 and word[0].isupper() and fold(word) not in _NOT_NAMES and not plain:
            yield word
