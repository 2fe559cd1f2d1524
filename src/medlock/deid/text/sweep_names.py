"""The sweep over names, addresses and other words: every known word, folded, within one typo, wherever it stands.

What makes it hard is that short names lie one letter from ordinary words (Lee and "see", Mary and "many"). The rules:

- a known word spelled as known (case, accents, apostrophes, hyphens aside) always goes;
- of four letters or more, also with one letter wrong, missing, doubled or exchanged. With `sparing` an ordinary word
  in small letters stays unless another part of a name stands beside it: "many" is no Mary;
- of three letters, with a typo only beside another part of the name, or capitalised and no word of the language;
- initials go beside a part of the name ("J. Smith", "John S."), in dots ("J.S.") and in capitals ("JS"), the latter
  unless they are a clinical abbreviation ("MS", "PT");
- two parts written as one word ("johnsmith", "jsmith") go as well.

Of an address its words go where two stand in a row; alone only those that are no ordinary word, and the post code.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from medlock.deid.text.known import Known
from medlock.deid.text.lexicon import MEDICAL, NAME, Mark, fold, marks
from medlock.deid.text.spans import Kind, Span
from medlock.deid.text.tokens import LETTERS
from medlock.deid.text.typos import Typos

TYPO_MIN = 4
_WORD = re.compile(rf"{LETTERS}(?:['’‘´`‐-]{LETTERS})*|\d+")
_PART = re.compile(LETTERS)
_INITIALS = re.compile(r"(?<![^\W_])(?:[^\W\d_]\.[ \u00a0]?){2,4}|(?<![^\W_])[A-Z]{2,4}(?![^\W_])")
_PARTICLE = r"(?:de|del|de la|de los|la|van|von|van der|van den|der|den|di|da|dos|st\.?|bin|al)"
_INITIALS_BEFORE = re.compile(rf"(?<![^\W_])(?:[^\W\d_]\.?[ -]?){{1,3}}(?:(?<=[ .-]){_PARTICLE}\s)?$", re.IGNORECASE)
_LITTLE = frozenset(
    "de del la las los el y e i van von der den di da dos do bin ibn al st san santa mr mrs ms dr jr sr ii "
    "iii iv".split()
)
_FIRST_TOO = frozenset("van von al san santa ben del".split())
_TITLES = frozenset("mr mrs ms miss dr prof sr sra dra don dona".split())
# Two and three letters that mean something else in a clinical text far more often than somebody.
_ABBREVIATIONS = frozenset(
    "ms pt ed er mi hr bp rr ct mr mri iv im po pr bm sob hx rx tx dx fx sx ra af cf cp cv dm ha hf kg mg ml nd np "
    "or ot pa pe pm "
    "ad am as at be by do go he if in is it me my no of on so to up us we ca cm db gi gu id la ld le md ne os od ou "
    "pd ph ps qd "
    "rn sd se ss st sv ta tb td te th ti tr ua uc wa wt std ent gyn icu ekg ecg eeg emg abg cbc bmp cmp ldl hdl tsh "
    "ace arb dvt "
    "cad chf copd cva tia uti uri ards aids hiv hbv hcv hpv".split()
)
_ADDRESS_WORDS = frozenset(
    "street st avenue ave road rd lane ln drive dr court ct place pl boulevard blvd way terrace suite ste apt "
    "apartment unit floor north "
    "south east west calle avenida avda plaza paseo carretera numero no piso puerta bajo us usa".split()
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text, its folded form, and what of the record it may be."""

    start: int
    end: int
    form: str
    hit: str = ""  # the source of the known word
    part: str = ""  # the known word itself
    exact: bool = False
    kind: Kind = Kind.NAME


class Names:
    """The words of the record's names and addresses."""

    def __init__(self, known: Known) -> None:
        self._sparing = known.sparing
        self._parts: dict[str, str] = {}
        self._glued: dict[str, str] = {}
        self._initials: dict[str, str] = {}
        self._rows: dict[str, tuple[int, str]] = {}  # address word → (its address, source)
        for at, name in enumerate(known.names):
            self._learn_name(name, f"known:names[{at}]")
        for at, word in enumerate(known.words):
            for part in _forms(word):
                self._parts.setdefault(part, f"known:words[{at}]")
        for at, address in enumerate(known.addresses):
            self._learn_address(address, at)
        self._near = lru_cache(maxsize=1 << 15)(
            Typos(part for part in {**self._parts, **self._glued} if len(part) > 2).near
        )
        self._row_near = lru_cache(maxsize=1 << 15)(
            Typos(word for word in self._rows if len(word) > 3 and not word.isdigit()).near
        )

    def _learn_name(self, name: str, source: str) -> None:
        forms = _forms(name)
        # "Van" and "Al" are particles within a name, and first names at its beginning.
        parts = [part for at, part in enumerate(forms) if part not in _LITTLE or (at == 0 and part in _FIRST_TOO)]
        for part in parts:
            if len(part) > 1:
                self._parts.setdefault(part, source)
        long = [part for part in parts if len(part) > 1]
        for one, two in permutations(long, 2):
            for glued in (one + two, one[0] + two, two + one[0]):
                if len(glued) > TYPO_MIN:
                    self._glued.setdefault(glued, source)
        for size in range(2, min(len(parts), 4) + 1):
            for order in permutations([part[0] for part in parts], size):
                self._initials.setdefault("".join(order), source)

    def _learn_address(self, address: str, at: int) -> None:
        for match in _WORD.finditer(address):
            self._rows.setdefault(fold(match[0]), (at, f"known:addresses[{at}]"))

    def find(self, text: str) -> Iterator[Span]:
        """Every place where one of the words stands."""
        if not (self._parts or self._rows):
            return
        tokens = [self._token(match) for match in _WORD.finditer(text)]
        yield from self._names(text, tokens)
        yield from self._initialled(text)
        yield from self._addresses(text)

    def _token(self, match: re.Match[str]) -> Token:
        word = match[0]
        form = fold(word).replace("'", "").replace("-", "").replace("‐", "")
        part = self._part(form)
        if not part and len(form) < len(word):
            part = next(filter(None, (self._part(fold(each)) for each in _PART.findall(word))), "")
        if not part:
            return Token(match.start(), match.end(), form)
        source = self._parts.get(part) or self._glued[part]
        return Token(
            match.start(), match.end(), form, source, part, exact=part in fold(word).replace("'", "").replace("-", "")
        )

    def _part(self, form: str) -> str:
        """The known word that a folded word is, or else is within one typo of; "" for neither."""
        if form in self._parts or form in self._glued:
            return form
        return max(self._near(form), key=lambda part: (len(part), part), default="") if len(form) > 1 else ""

    def _names(self, text: str, tokens: list[Token]) -> Iterator[Span]:
        """Sure hits, and beside them unsure ones and initials, joined to one span where they stand together."""
        sure = [bool(token.hit) and self._certain(text, token) for token in tokens]
        for at, token in enumerate(tokens):
            if token.hit and not sure[at]:
                near = [other for other in (at - 2, at - 1, at + 1, at + 2) if 0 <= other < len(tokens) and sure[other]]
                titled = at > 0 and tokens[at - 1].form in _TITLES
                sure[at] = titled or any(self._beside(text, tokens, at, other) for other in near)
        for at, token in enumerate(tokens):
            if sure[at]:
                start, end = self._with_initials(text, tokens, at)
                end = max(end, self._with_particles(tokens, sure, at))
                yield Span(start, end, token.kind, 1.0, token.hit, text[start:end])

    @staticmethod
    def _with_particles(tokens: list[Token], sure: list[bool], at: int) -> int:
        """Where the particles after a hit end when another hit follows them ("Ana de la Cruz")."""
        after = at + 1
        while after < len(tokens) and tokens[after].form in _LITTLE and tokens[after].start - tokens[after - 1].end < 3:
            after += 1
        return tokens[after - 1].end if after < len(tokens) and sure[after] else tokens[at].end

    def _certain(self, text: str, token: Token) -> bool:
        """Whether a hit counts without company."""
        word, size = text[token.start : token.end], len(token.part)
        if token.exact:
            return (size > 2 and token.part not in _LITTLE) or word[0].isupper()
        ordinary = bool(marks(word) & (Mark.ENGLISH | MEDICAL))
        capital = word[0].isupper()
        if size < TYPO_MIN:
            return capital and not ordinary
        return capital or not ordinary or not self._sparing

    @staticmethod
    def _beside(text: str, tokens: list[Token], at: int, other: int) -> bool:
        """Whether two tokens are two parts of one name: only blanks, marks, initials or particles between."""
        if tokens[at].part == tokens[other].part:
            return False
        low, high = sorted((at, other))
        between = text[tokens[low].end : tokens[high].start]
        words = re.findall(r"\w+", between)
        return (
            len(between) < 12
            and all(len(word) == 1 or fold(word) in _LITTLE for word in words)
            and "." not in between.strip(" .")
        )

    def _with_initials(self, text: str, tokens: list[Token], at: int) -> tuple[int, int]:
        """The hit with single letters beside it ("J. Smith", "Smith J", "Smith, J.A.")."""
        start, end = tokens[at].start, tokens[at].end
        before = _INITIALS_BEFORE.search(text[max(0, start - 20) : start])
        if before and before[0][0].isupper():
            start -= len(before[0])
        after = re.match(r",?[ \u00a0](?:[^\W\d_]\.[ -]?|[A-Z](?![^\W_]|['’])[ -]?){1,3}", text[end : end + 12])
        if after and (after[0].strip(", ")[0].isupper() or "." in after[0]):
            end += len(after[0].rstrip())
        return start, end

    def _initialled(self, text: str) -> Iterator[Span]:
        for match in _INITIALS.finditer(text):
            letters = "".join(fold(each) for each in match[0] if each.isalpha())
            source = self._initials.get(letters)
            if source and ("." in match[0] or letters not in _ABBREVIATIONS):
                end = match.start() + len(match[0].rstrip())
                yield Span(match.start(), end, Kind.NAME, 1.0, source, text[match.start() : end])

    def _addresses(self, text: str) -> Iterator[Span]:
        """Runs of address words; one alone when it is no ordinary word, or a number of five digits."""
        if not self._rows:
            return
        run: list[tuple[re.Match[str], str, bool]] = []
        for match in _WORD.finditer(text):
            known = self._row(fold(match[0]))
            near = bool(run) and match.start() - run[-1][0].end() <= 4
            if near and not known and fold(match[0]) in _ADDRESS_WORDS:
                known = run[-1][1]  # "Ln" for Lane goes with the street
            if run and not (known and near):
                yield from self._row_span(text, run)
                run = []
            if known:
                run.append((match, known, self._telling(match[0])))
        if run:
            yield from self._row_span(text, run)

    def _row(self, form: str) -> str:
        if form in self._rows:
            return self._rows[form][1]
        near = min(self._row_near(form), default="") if len(form) > 2 and not form.isdigit() else ""
        return self._rows[near][1] if near else ""

    @staticmethod
    def _telling(word: str) -> bool:
        """Whether a word of an address says something alone."""
        if word.isdigit():
            return len(word) >= 5
        known = marks(word)
        listed = known & (NAME | Mark.CITY)
        return (
            len(word) > 3
            and fold(word) not in _ADDRESS_WORDS
            and (not known & (Mark.ENGLISH | MEDICAL) or bool(listed and word[0].isupper()))
        )

    @staticmethod
    def _row_span(text: str, run: list[tuple[re.Match[str], str, bool]]) -> Iterator[Span]:
        distinct = {fold(match[0]) for match, _, _ in run}
        if (
            any(telling for _, _, telling in run)
            or len(distinct - _ADDRESS_WORDS) > 1
            or (len(distinct) > 1 and any(each.isdigit() for each in distinct))
        ):
            start, end = run[0][0].start(), run[-1][0].end()
            yield Span(start, end, Kind.STREET, 1.0, run[0][1], text[start:end])


def _forms(name: str) -> list[str]:
    """The folded words of a name: compounds ("O'Brien", "Smith-Jones") as one word and as their parts."""
    found: dict[str, None] = defaultdict()
    for match in _WORD.finditer(name):
        whole = fold(match[0]).replace("'", "").replace("-", "")
        found[whole] = None
        parts = [fold(part) for part in _PART.findall(match[0])]
        if len(parts) > 1:
            found.update(dict.fromkeys(part for part in parts if len(part) > 1))
    return list(found)
