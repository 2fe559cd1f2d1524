"""The leak test against medlock, where nothing comes out, and against builds broken on purpose, where each is found."""

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from defence.broken import FORGETFUL, TALKATIVE
from defence.in_process import under_test
from medlock.defence.leaktest.actors import NEEDED, Actor, words_in
from medlock.defence.leaktest.family import RECORDS, canary, decoy


async def test_nobody_learns_anything_of_medlock(tmp_path):
    """Every attempt of every actor, by what answers say, by how they differ, by what changed."""
    async with under_test(tmp_path) as bench:
        outcome = await bench.test.run(bench.everybody)
    assert outcome.attempts > 5_000
    assert len(outcome.tried) >= 18
    assert [f"{each.actor} {each.kind} {each.about}: {each.says} {each.ask}" for each in outcome.findings] == []


@pytest.mark.parametrize("build", FORGETFUL, ids=lambda build: build.name)
async def test_a_path_that_forgets_the_rule_is_found(tmp_path, build):
    """Each build answers one kind of question as if the writer had asked it."""
    async with under_test(tmp_path) as bench:
        bench.forget(build)
        outcome = await bench.test.run(bench.everybody, first=True)
    assert outcome.findings


@pytest.mark.parametrize("build", TALKATIVE, ids=lambda build: build.name)
async def test_a_word_too_many_is_found(tmp_path, build):
    """Each build answers refusals in a way that depends on what is refused."""
    async with under_test(tmp_path) as bench:

        async def spoil(ask, answer):
            if ask.method != "GET":
                return answer
            return build.spoil(ask, answer, await bench.caller.plain(build.asks(ask), bench.writer))

        bench.caller.spoil = spoil
        outcome = await bench.test.run([bench.actor("dot")], first=True)
    assert outcome.findings


async def test_an_answer_that_takes_longer_is_found(tmp_path):
    """A build that looks the record up before it refuses: some milliseconds are enough."""
    async with under_test(tmp_path, rounds=12) as bench:

        async def spoil(ask, answer):
            if "leaktest-ann" in ask.target and not urlsplit(ask.target).query:
                await asyncio.sleep(0.02)
            return answer

        bench.caller.spoil = spoil
        outcome = await bench.test.run([bench.actor("dot")], first=True)
    assert [each.kind for each in outcome.findings] == ["timing"]


def test_words_give_away_one_record_each():
    """No canary is part of another, none stands in two records, and a decoy is no canary."""
    found = [words_in(str(record.body)) for record in RECORDS]
    assert all(found)
    assert sum(map(len, found)) == len(frozenset().union(*found))
    every = frozenset().union(*found)
    assert not {decoy(word) for word in every} & every
    assert all(len(decoy(word)) == len(word) for word in every)
    assert canary("ann") == canary("ann") != canary("ben")


def test_what_is_seen_is_not_secret():
    """Somebody's own record and what it mentions are no findings."""
    ben = Actor(next(each for each in NEEDED if each.name == "ben"), "")
    assert canary("ben") not in ben.secrets()
    assert canary("both-appointment") not in ben.secrets()
    assert canary("ann") in ben.secrets()
    assert "Patient/ann" not in ben.addresses()  # his appointment names her
    assert "Condition/ann-hiv" in ben.addresses()
    assert replace(ben, token="x").hidden() == ben.hidden()
