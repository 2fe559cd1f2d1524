"""Words that say who a person is without a name, in Spanish: sex, kin, stage of life. For the wider policy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medlock.deid.text.spans import Kind, Span

_SEX = re.compile(
    r"(?<![^\W_])(?:var[oó]n(?:es)?|mujer|hombre|hembra|niñ[oa]|chic[oa]|muchach[oa]|señora?|masculino|"
    r"femenino)(?![^\W_])",
    re.IGNORECASE,
)
_STAGE = re.compile(
    r"(?<![^\W_])(?:lactante|neonat[oa]|reci[eé]n nacid[oa]|adolescente|ancian[oa])(?![^\W_])", re.IGNORECASE
)
_KIN = re.compile(
    r"(?<![^\W_])(?:(?:un[ao]?s?|dos|tres|cuatro|\d)\s)?(?:padres?|madres?|hij[oa]s?|herman[oa]s?|gemel[oa]s?|"
    r"mellizo|espos[oa]|marido|abuel[oa]s?|"
    r"bisabuel[oa]|nieto|nieta|t[ií][oa]s?|sobrin[oa]s?|prim[oa]s|cuñad[oa]|suegr[oa]|yerno|nuera|progenitor(?:es|"
    r"a)?|c[oó]nyuge)"
    r"(?:\s(?:gemel[oa]s?|mayor(?:es)?|menor(?:es)?|matern[oa]s?|patern[oa]s?|j[oó]venes))?(?![^\W_])",
    re.IGNORECASE,
)


def find_persons(text: str) -> Iterator[Span]:
    """All of them."""
    for pattern, kind in ((_SEX, Kind.SEX), (_STAGE, Kind.AGE), (_KIN, Kind.RELATIVE)):
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), kind, 0.5, f"rule:{kind.lower()}-word", match[0])
