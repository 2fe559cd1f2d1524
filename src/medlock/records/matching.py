"""Patient/$match (R4 Patient-match): who of the patients within reach could this be, and how probable is that?

Candidates are found by searches of the directory that this caller could make too: an identifier, a name with a date of
birth, a telephone number. Then each is compared whole (`fhir.likeness`). It tells nothing that a search would not, and
each candidate shown is written down like any read. Callers who are held to a patient may not ask (`access.decide`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from medlock.access.grant import Grant
from medlock.clock import instant
from medlock.errors import BadRequest, Conflict, Problem
from medlock.fhir import bundle
from medlock.fhir.extract import extract
from medlock.fhir.grammar import parse_search
from medlock.fhir.likeness import CERTAIN, grade, probability
from medlock.fhir.normalise import fold
from medlock.fhir.options import MatchOptions
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Question
from medlock.fhir.values import Values
from medlock.records.drafts import checked
from medlock.records.finding import Finding
from medlock.records.hits import Finder
from medlock.records.minimise import minimised
from medlock.records.reach import Reach, reach_of
from medlock.records.sifted import Sought, looked_into
from medlock.records.turns import in_turns
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

CANDIDATES_MAX = 1_000
SOUGHT_MAX = 500
"""Search values of whom is sought: each is compared with each candidate's."""
_DEFAULT = 10
_EACH = 5
_TRIES = 4


class _Scored(NamedTuple):
    score: float
    opened: Opened


async def match(vault: Vault, grant: Grant, question: Question, base: str) -> Finding:
    """The likeliest first. Raises BadRequest when too little is known of whom is sought, or too many could be."""
    options = question.options if isinstance(question.options, MatchOptions) else MatchOptions()
    sought = extract(checked(question.body, "Patient"))
    if len(sought.strings) + len(sought.tokens) + len(sought.dates) > SOUGHT_MAX:
        raise _too_costly("Too much is said of whom you seek: keep to what tells people apart.")
    queries = list(_queries(sought))
    if not queries:
        raise _too_little()
    for _ in range(_TRIES):
        reach = await reach_of(vault, grant)
        found = await looked_into(vault, grant, await _candidates(vault, reach, queries))
        if found is not None:
            return _answer(grant, await _scored(vault, sought, found), options, base)
    raise Conflict("These records are being changed right now; try again.")


def _queries(sought: Values) -> Iterator[SearchQuery]:
    """Searches that together find whom it could be: each names something that few share."""
    names = [(param, text) for param, text in sought.strings if param in {"family", "given"} and fold(text)]
    families = [_escaped(text) for param, text in names if param == "family"][:_EACH]
    givens = [_escaped(text) for param, text in names if param == "given"][:_EACH]
    births = [_day(low, high) for param, low, high in sought.dates if param == "birthdate"][:1]
    for param, system, code in _tokens(sought):
        yield _query((param, f"{_escaped(system)}|{_escaped(code)}" if param == "identifier" else _escaped(code)))
    for family in families:
        yield from (_query(("family", family), ("birthdate", birth)) for birth in births)
        yield from (_query(("family", family), ("given", given)) for given in givens)
    for given in givens:
        yield from (_query(("given", given), ("birthdate", birth)) for birth in births)


def _tokens(sought: Values) -> list[tuple[str, str, str]]:
    found = [row for row in sought.tokens if row[0] in {"identifier", "phone", "email"} and row[2]]
    return [row for row in dict.fromkeys(found) if row[0] != "identifier" or row[1]][: 2 * _EACH]


def _query(*params: tuple[str, str]) -> SearchQuery:
    return parse_search("Patient", params, now_ms=0, max_count=0)


def _escaped(text: str) -> str:
    """Text as a search value: what separates values there stands for itself (R4 §3.1.1.4.19)."""
    return "".join(f"\\{letter}" if letter in "\\,|$" else letter for letter in text)


def _day(low: int, high: int) -> str:
    """The birth date as it was written: a day, a month or a year."""
    from_, to = (instant(each)[:10] for each in (low, high - 1))
    return from_ if from_ == to else from_[:7] if from_[:7] == to[:7] else from_[:4]


async def _candidates(vault: Vault, reach: Reach, queries: list[SearchQuery]) -> list[IndexRow]:
    found: dict[int, IndexRow] = {}
    for query in queries:
        for hit in await Finder(vault, reach).find(query):
            found[hit.row.rid] = hit.row
        if len(found) > CANDIDATES_MAX:
            raise _too_costly(f"More than {CANDIDATES_MAX} patients could be meant: say more of whom you seek.")
    return list(found.values())


async def _scored(vault: Vault, sought: Values, found: list[Sought]) -> list[_Scored]:
    patients = len(vault.directory)
    scored = [_Scored(probability(sought, each.values, patients), each.opened) async for each in in_turns(found)]
    return sorted(scored, key=lambda each: (-each.score, each.opened.rid))


def _answer(grant: Grant, scored: list[_Scored], options: MatchOptions, base: str) -> Finding:
    """The searchset. Only certain matches: the one that is, and none when it could be several."""
    kept = [each for each in scored if grade(each.score)][: options.count or _DEFAULT]
    if options.only_certain:
        certain = [each for each in scored if each.score >= CERTAIN]
        kept = certain if len(certain) == 1 else []
    entries = [
        bundle.SearchEntry(
            f"{base}/{each.opened.meta.reference}",
            minimised(grant, each.opened),
            score=f"{each.score:.4f}",
            grade=grade(each.score),
        )
        for each in kept
    ]
    body = bundle.searchset(entries, total=len(entries), links={"self": f"{base}/Patient/$match"})
    return Finding(200, body, disclosed=[each.opened for each in kept])


def _too_costly(text: str) -> BadRequest:
    return BadRequest(text, problems=(Problem("too-costly", text),))


def _too_little() -> BadRequest:
    text = "Too little is known: name an identifier with its system, a telephone number or e-mail address, or two of "
    text += "family name, given name and date of birth."
    return BadRequest(text, problems=(Problem("required", text),))
