"""Rank, length and co-occurrence attacks on a stolen store, by somebody who knows other patients' records.

Each attack is told its gain over the blind guess, and may have no more than a point. Each is also run on a store that
was made weak in the one place that the attack looks at: there it must succeed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from statistics import median

import orjson
import pytest

from acceptance.attack import Case, Gain, best, by_learning, by_rank, judged
from acceptance.loot import Commit, Place
from acceptance.victims import CORPORA, SYNTHEA, Json, Victim, at_rest, in_use
from medlock.audit import entries as log_entries
from medlock.audit.wire import padding
from medlock.store import capsule as index
from medlock.store.bodies import Codec
from medlock.store.frames import frame
from medlock.store.tables import Table

POINT = 0.01
CLEARLY = 0.04
WATCHED = 0.10
PAIRS = 20_000
GAP = 4  # pages between two that one commit wrote
PLACES = {"place in the page", "page", "rows in the page"}
"""Ways of looking that show no value: nothing to rank."""
ONE_LENGTH = {
    Table.DELTA: 1_052,
    Table.DIRECTORY: 1_088,
    Table.DIROP: 37,
    Table.LOG: 571,
    Table.TOKEN: 540,
}
"""Heads and tiles grow with the log and tell how long it is, as the log does; a log index covers 4,096 entries."""


def coded(*path: str) -> Callable[[Json], str]:
    """A function: the first code under an element."""

    def code(resource: Json) -> str:
        found = resource.get(path[0], {})
        return str(found.get("code") or (found.get("coding") or [{}])[0].get("code", ""))

    return code


SECRETS: dict[str, tuple[str, Callable[[Json], str]]] = {
    "resource type": ("", lambda resource: resource["resourceType"]),
    "Observation.code": ("Observation", coded("code")),
    "Encounter.class": ("Encounter", coded("class")),
    "Immunization.vaccineCode": ("Immunization", coded("vaccineCode")),
    "Observation.category": ("Observation", lambda resource: resource["category"][0]["coding"][0]["code"]),
}
"""What the attacker is after: of which type, and where it stands."""


@cache
def bundles(corpus: str, side: int) -> list[list[Json]]:
    """The records of one side: 0 is what the attacker knows, 1 is what was stolen."""
    return CORPORA[corpus](side)


class Thefts:
    """Stolen stores, each made once, with dice that always fall alike."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, Victim] = {}

    def _steal(self, name: str, make: Callable[[Path], Victim]) -> Victim:
        if name not in self._made:
            with pytest.MonkeyPatch.context() as dice:
                dice.setattr("os.urandom", random.Random(name).randbytes)
                self._made[name] = make(self._root / name)
        return self._made[name]

    def at_rest(self, corpus: str, side: int, *, rewritten: bool = True) -> Victim:
        """A store that was loaded and stopped."""
        return self._steal(
            f"rest-{corpus}-{side}-{rewritten}",
            lambda place: asyncio.run(at_rest(place, bundles(corpus, side), rewritten=rewritten)),
        )

    def in_use(self, corpus: str, side: int, *, weak: bool = False) -> Victim:
        """A store that runs; `weak` index rows and log entries are hardly padded."""

        def make(place: Path) -> Victim:
            with pytest.MonkeyPatch.context() as weakened:
                if weak:
                    weakened.setattr(index, "frame", lambda data, _step: frame(data, 16))
                    weakened.setattr(log_entries, "FULL_BYTES", 16)
                    weakened.setattr(log_entries, "_FULL_PADDING", padding(16))
                    weakened.setattr("medlock.audit.copies.FULL_BYTES", 1 << 20)  # nothing is parted
                return asyncio.run(in_use(place, bundles(corpus, side), side))

        return self._steal(f"use-{corpus}-{side}-{weak}", make)


@pytest.fixture(scope="module")
def thefts(tmp_path_factory: pytest.TempPathFactory) -> Thefts:
    """The thefts of this module."""
    return Thefts(tmp_path_factory.mktemp("stolen"))


@pytest.fixture(
    params=["clinic", pytest.param("synthea", marks=pytest.mark.skipif(not SYNTHEA.is_dir(), reason="no shared data"))]
)
def corpus(request: pytest.FixtureRequest) -> str:
    """Whose records."""
    return request.param


def truths(victim: Victim, secret: str) -> dict[int, str]:
    """What the attacker would like to know, by the key of the body."""
    if secret == "gender":
        found = {key: victim.gender(resource) for key, resource in victim.resources.items()}
    else:
        type_, reveal = SECRETS[secret]
        found = {key: reveal(each) for key, each in victim.resources.items() if type_ in {"", each["resourceType"]}}
    return {key: truth for key, truth in found.items() if truth}


def lying(victim: Victim, secret: str) -> list[Case]:
    """Bodies as they lie in a stopped store: lengths, neighbours, places, and whatever bytes could repeat."""
    places, wanted = victim.loot.places[Table.BODY], truths(victim, secret)
    mates = Counter(place.page for place in places)
    last = max(place.page for place in places)
    cases = []
    for at, place in enumerate(places):
        if place.key in wanted:
            ct = victim.loot.rows[Table.BODY][place.key]
            seen = {
                "length": place.length,
                "lengths around": tuple(each.length for each in places[max(0, at - 3) : at + 4]),
                "rows in the page": mates[place.page],
                "place in the page": place.depth,
                "page": 20 * place.page // last,
                "start of the key": place.key >> 55,
                "end of the key": place.key & 0xFF,
                **{f"byte {offset}": ct[offset] for offset in (0, 12, 15, 20, 23, 25, 28, -17, -1)},
                **{
                    f"{size} bytes from {offset}": ct[offset : offset + size]
                    for offset in (0, 12, 28)
                    for size in (2, 8)
                },
            }
            cases.append(Case(seen, wanted[place.key]))
    return cases


def written(victim: Victim, secret: str) -> list[Case]:
    """Bodies as commits of a running store show them: what was added and taken away with each."""
    wanted = truths(victim, secret)
    cases = []
    for commit in victim.loot.commits:
        bodies = [key for table, key in commit.added if table is Table.BODY and key in victim.resources]
        if len(bodies) == 1 and bodies[0] in wanted:
            cases.append(Case(sights(commit), wanted[bodies[0]]))
    return cases


def sights(commit: Commit) -> dict[str, Hashable]:
    """Ways of looking at a commit."""
    added = sorted((str(table), length) for (table, _), length in commit.added.items())
    removed = sorted((f"-{table}", length) for (table, _), length in commit.removed.items())
    return {
        "what was added": tuple(added),
        "what was changed": (*added, *removed),
        "delta": tuple(each for each in added if each[0] == Table.DELTA),
        "entry": tuple(each for each in added if each[0] == Table.LOG),
        "counts": tuple(sorted(Counter(table for table, _ in (*added, *removed)).items())),
    }


def pairs(victim: Victim, seed: int) -> list[Case]:
    """Two bodies each, as many of one bundle (a patient's or a household's) as of two: how they lie to each other."""
    rng = random.Random(seed)
    order = {place.key: at for at, place in enumerate(victim.loot.places[Table.BODY])}
    places = [place for place in victim.loot.places[Table.BODY] if place.key in victim.bundle]
    together: dict[int, list[Place]] = {}
    for place in places:
        together.setdefault(victim.bundle[place.key], []).append(place)
    cases = []
    while len(cases) < PAIRS:
        one, other = rng.choice(places), rng.choice(places)
        same = rng.choice(together[victim.bundle[one.key]])
        if one.key != same.key and victim.bundle[one.key] != victim.bundle[other.key]:
            cases += [Case(apart(one, same, order), "same"), Case(apart(one, other, order), "other")]
    rng.shuffle(cases)
    return cases


def apart(one: Place, other: Place, order: dict[int, int]) -> dict[str, Hashable]:
    """How two rows lie to each other; distances by their logarithm."""
    pages, depth = abs(one.page - other.page), abs(one.depth - other.depth)
    return {
        "pages between": pages.bit_length(),
        "rows between": abs(order[one.key] - order[other.key]).bit_length(),
        "places between in one page": depth if not pages else None,
        "pages of both": (min(one.page, other.page) >> 5, max(one.page, other.page) >> 5),
    }


def spans(victim: Victim) -> list[int]:
    """How many pages of indexes lie together, for each time that they do: what one commit wrote lies together."""
    pages = sorted({place.page for place in victim.loot.places[Table.CAPSULE]})
    starts = [0, *(at for at in range(1, len(pages)) if pages[at] - pages[at - 1] > GAP), len(pages)]
    return [end - start for start, end in pairwise(starts)]


def by_pages(victim: Victim) -> Gain:
    """Is a bundle large (and so its patient old)? Told from the pages that its index takes, when they show."""
    sizes = [count for _, count in sorted(Counter(victim.bundle.values()).items())]
    cases = [Case({}, "large" if size > median(sizes) else "small") for size in sizes]
    seen = spans(victim)
    guesses = ["large" if pages > median(seen) else "small" for pages in seen]
    if len(guesses) != len(cases):  # the pages do not show the bundles
        guesses = ["small"] * len(cases)
    return judged("pages of indexes", cases, guesses, "small")


def by_arrival(victim: Victim) -> Victim:
    """The same rows, had they been laid down in the order in which they came."""
    mine = [place for place in victim.loot.places[Table.BODY] if place.key in victim.bundle]
    arrived = sorted(mine, key=lambda place: victim.bundle[place.key])
    laid = [replace(place, page=at // 5) for at, place in enumerate(arrived)]
    return replace(victim, loot=replace(victim.loot, places=victim.loot.places | {Table.BODY: laid}))


ALL = [*SECRETS, "gender"]


def held(gains: list[Gain]) -> None:
    """No attack gains more than a point, with the certainty of its bound; one that did worse than blind gained nothing."""
    assert [str(gain) for gain in gains if gain.guessed > gain.blind and gain.bound > POINT] == []


def both(thefts: Callable[..., Victim], corpus: str, **how: bool) -> tuple[Victim, Victim]:
    """What was stolen, and what the attacker knows."""
    return thefts(corpus, 1, **how), thefts(corpus, 0, **how)


@pytest.mark.parametrize("secret", ALL)
def test_a_stopped_store_gives_no_values_away(thefts: Thefts, corpus: str, secret: str) -> None:
    """Neither ranking nor learning from lengths, neighbours, places and bytes of bodies beats the blind guess."""
    target, reference = (lying(victim, secret) for victim in both(thefts.at_rest, corpus))
    held(by_rank(target, reference, set(target[0].seen) - PLACES) + by_learning(target, reference))


@pytest.mark.parametrize("secret", [secret for secret in ALL if secret != "resource type"])
def test_a_running_store_gives_no_values_away(thefts: Thefts, corpus: str, secret: str) -> None:
    """Nor does learning from what each commit adds and takes away, with the whole journal at hand."""
    target, reference = (written(victim, secret) for victim in both(thefts.in_use, corpus))
    held(by_learning(target, reference))


def test_who_watches_every_commit_learns_little_of_types(thefts: Thefts, corpus: str) -> None:
    """The one gain above a point, and its limit: new patients, long notes and resources of two patients take more rows."""
    target, reference = (written(victim, "resource type") for victim in both(thefts.in_use, corpus))
    gains = by_learning(target, reference)
    assert best(gains).bound < WATCHED
    counts = next(gain for gain in gains if gain.way == "counts")
    assert best(gains).guessed == counts.guessed, "lengths tell nothing that counts do not"


def test_every_row_of_a_table_has_one_length(thefts: Thefts, corpus: str) -> None:
    """Whatever was written, read, asked and noted: a length says which table a row is of, and nothing else."""
    for victim in (thefts.at_rest(corpus, 1), thefts.in_use(corpus, 1), thefts.at_rest(corpus, 0)):
        lengths = {table: victim.loot.lengths(table) for table in Table}
        assert lengths[Table.BODY] | lengths[Table.HISTORY] == {684}
        assert lengths[Table.CAPSULE] == {540, 3_500}  # heads and pieces
        for table, length in ONE_LENGTH.items():
            assert lengths[table] <= {length}, table
        assert lengths[Table.JOB] <= {156, 540}  # notes, and pages of who has consents
    running = thefts.in_use(corpus, 1).loot
    assert all(running.rows[table] for table in ONE_LENGTH), "every kind of row was there to be seen"


def test_rows_that_came_together_do_not_lie_together(thefts: Thefts, corpus: str) -> None:
    """Where two bodies lie does not tell whether they are of one patient, nor do pages tell how large an index is."""
    target, reference = (pairs(victim, seed) for seed, victim in enumerate(both(thefts.at_rest, corpus)))
    held(by_learning(target, reference))
    held([by_pages(thefts.at_rest(corpus, 1))])


@pytest.mark.parametrize("secret", ["resource type", "Observation.category", "Encounter.class", "gender"])
def test_ranking_sees_tokens(thefts: Thefts, corpus: str, secret: str) -> None:
    """A column with a keyed hash of the value, as a blind index has, gives it away to the same attack."""
    target, reference = (lying(victim, secret) for victim in both(thefts.at_rest, corpus))
    weak = [Case({"token": sha256(case.truth.encode()).digest()[:8]}, case.truth) for case in target]
    gain = best(by_rank(weak, reference, {"token"}))
    assert gain.guessed - gain.blind > CLEARLY, gain


@pytest.mark.parametrize("secret", ["resource type", "Observation.code"])
def test_learning_sees_lengths(thefts: Thefts, corpus: str, secret: str) -> None:
    """Bodies packed and not padded give type and code away to the same attack."""
    target, reference = (unpadded(victim, secret) for victim in both(thefts.at_rest, corpus))
    gain = best(by_learning(target, reference))
    assert gain.guessed - gain.blind > CLEARLY, gain


def unpadded(victim: Victim, secret: str) -> list[Case]:
    """Bodies as long as they are when packed."""
    pack = Codec()._compress
    wanted = truths(victim, secret)
    return [Case({"length": len(pack(orjson.dumps(victim.resources[key])))}, truth) for key, truth in wanted.items()]


@pytest.mark.parametrize("look", ["delta", "entry"])
def test_learning_sees_index_rows_and_log_entries(thefts: Thefts, corpus: str, look: str) -> None:
    """A store whose index rows and log entries are padded to 16 bytes gives types away to the same attack."""
    target, reference = (written(victim, "resource type") for victim in both(thefts.in_use, corpus, weak=True))
    gain = next(gain for gain in by_learning(target, reference) if gain.way == look)
    assert gain.guessed - gain.blind > CLEARLY, gain


def test_learning_sees_neighbours(thefts: Thefts, corpus: str) -> None:
    """Bodies laid down in the order in which they came tell the same attack which are of one patient."""
    victims = [by_arrival(victim) for victim in both(thefts.at_rest, corpus)]
    gain = best(by_learning(*(pairs(victim, seed) for seed, victim in enumerate(victims))))
    assert gain.guessed - gain.blind > CLEARLY, gain


def test_pages_show_what_came_together(thefts: Thefts, corpus: str) -> None:
    """A store left as its commits left it, not laid out anew, shows how large each patient's index is."""
    gain = by_pages(thefts.at_rest(corpus, 1, rewritten=False))
    assert gain.guessed - gain.blind > CLEARLY, gain
