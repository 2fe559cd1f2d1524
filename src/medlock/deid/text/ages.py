"""Ages, English and Spanish. Only those above 89 are identifiers under HIPAA; MEDDOCAN's guideline names them all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from medlock.deid.text.lexicon import fold

OLDEST_PLAIN = 89  # 45 CFR 164.514(b)(2)(i)(C): ages over 89 are aggregated

_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_DECENAS = dict(
    zip("veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa".split(), range(20, 100, 10), strict=True)
)
_SPELLED = (
    r"(?:(?:one )?hundred(?: and (?:one|two|three|four|five|six|seven|eight|nine|ten))?|(?:cien|ciento [a-zé]+)"
    r"|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[ -](?:one|two|three|four|five|six|seven|eight|"
    r"nine))?"
    r"|(?:veinte|treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa)(?: y (?:un|uno|dos|tres|cuatro|cinco|"
    r"seis|siete|ocho|nueve))?"
    r"|veinti[a-zóúé]+|un|una|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|"
    r"dieci[a-zéó]+)"
)
_YEARS = r"(?:-?\s?(?:years?|yrs?\.?|y)[- ]?(?:old|of age|o\b)|\s?y/?o\b|\s?yrs?\b|\s?años\b|\s?a\.?\s?de edad)"
_AGE = re.compile(rf"(?<![\w.,/])(?P<age>\d{{1,3}}|{_SPELLED}){_YEARS}", re.IGNORECASE)
# "hace dos años", "5 años después": spans of time, not ages.
_SPAN_BEFORE = re.compile(
    r"(?:\bhace|durante|desde|tras|cada|[uú]ltimos|primeros|pr[oó]ximos|m[aá]s de|menos de|unos|casi|por|en|de|\by|"
    r"\bfor|past|last|over|every|within|after|"
    r"previous|next|nearly|about)\s(?:hace\s|los\s|unos\s|the\s)?$",
    re.IGNORECASE,
)
_SPAN_AFTER = re.compile(
    r"\s(?:despu[eé]s|antes|atr[aá]s|m[aá]s tarde|previos|anteriores|ago|later|before|de (?:evoluci|duraci|"
    r"seguimiento|historia|tratamiento))",
    re.IGNORECASE,
)
_PERSON_BEFORE = re.compile(
    r"(?:\b(?:var[oó]n|mujer|paciente|hombre|ni[ñn][oa]|lactante|hij[oa]|hermano|hermana|madre|padre|edad|se[ñn]or|"
    r"chica|chico|joven|raza|masculino|"
    r"femenino|sexo|adolescente|beb[eé]|neonato)\b[^.;]{0,40}\bde|edad:?|a los|con)\s$",
    re.IGNORECASE,
)
_CUED = re.compile(
    r"\b(?:aged?|edad|age is|edad de)\s*[:=]?\s*(?:of\s|is\s|de\s)?(?P<age>\d{1,3})\b(?![./,]\d|\s?%)", re.IGNORECASE
)
_SMALL = re.compile(
    rf"(?<![\w.,/])(?P<age>\d{{1,3}}|{_SPELLED})\s?(?:meses|mes|semanas|d[ií]as|horas)(?= de (?:vida|"
    rf"edad))(?: de (?:vida|edad))",
    re.IGNORECASE,
)


_MONTHS = re.compile(
    rf"(?<=[a-záéíóúñ,] )(?:(?<=a los )|(?<= de ))(?P<age>\d{{1,2}}|{_SPELLED})\smeses(?!\s(?:de (?:evol|trat|segui|"
    rf"dur|la|su)|despu|antes|m[aá]s))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Age:
    """An age in a text; `years` is None where the number is spelled in a way that is not read."""

    start: int
    end: int
    years: int | None


def find_ages(text: str) -> Iterator[Age]:
    """Every age of a person in the text."""
    for pattern in (_AGE, _CUED):
        for match in pattern.finditer(text):
            if pattern is _AGE and _is_span_of_time(text, match):
                continue
            yield Age(match.start(), match.end(), _years(match["age"]))
    for match in (*_SMALL.finditer(text), *_MONTHS.finditer(text)):
        yield Age(match.start(), match.end(), 0)


def _is_span_of_time(text: str, match: re.Match[str]) -> bool:
    if not match[0].lower().endswith("años"):
        return False
    if _SPAN_AFTER.match(text, match.end()):
        return True
    before = text[max(0, match.start() - 60) : match.start()]
    return bool(_SPAN_BEFORE.search(before)) and not _PERSON_BEFORE.search(before)


def is_old(age: Age) -> bool:
    """Whether an age is above 89; one that cannot be read is taken for old."""
    return age.years is None or OLDEST_PLAIN < age.years < 130


def _years(words: str) -> int | None:
    if words.isdigit():
        return int(words)
    plain = fold(words).replace("-", " ").split()
    if plain[0] in {"one", "hundred", "cien", "ciento"}:
        return 100
    tens = _TENS.get(plain[0]) or _DECENAS.get(plain[0])
    if tens is None:
        return 20 if plain[0].startswith("veinti") else 1
    return tens + (1 if len(plain) > 1 else 0) if tens < 90 else 90 + (len(plain) > 1)
