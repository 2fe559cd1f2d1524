"""The yearly review: when it is due, and what is asked, by a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from identity.house import MemoryHouse
from medlock.errors import NotFound
from medlock.identity.factors.shape import Described, Kind
from medlock.identity.passwords.ageing import DAY_MS
from medlock.identity.passwords.profiles import CLASSIC, NIST
from medlock.identity.review import UNUSED_MS, Ask, Point, due, points

NOW = 10 * UNUSED_MS
KEY = Described(Kind.PASSKEY, "k1", "Key", NOW - 5, NOW - 1, resistant=True)
CLOUD = replace(KEY, factor="k2", synced=True)
PASSWORD = Described(Kind.PASSWORD, "password", "Password", 1)
APP = Described(Kind.TOTP, "totp", "App", 1, NOW - 1)
PAPER = Described(Kind.RECOVERY, "recovery", "Codes", 1, left=9)


def test_it_is_due_once_a_year_in_every_profile() -> None:
    """A day earlier it is not."""
    for policy in (NIST, CLASSIC):
        assert due(policy, 1_000, 1_000 + 365 * DAY_MS)
        assert not due(policy, 1_000, 999 + 365 * DAY_MS)


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ([KEY, CLOUD, PAPER], []),
        ([CLOUD], [Point(Ask.MAKE_CODES)]),
        ([KEY], [Point(Ask.MAKE_CODES), Point(Ask.SECOND_PASSKEY)]),
        ([PASSWORD, APP, PAPER], [Point(Ask.ADD_PASSKEY)]),
        ([KEY, PASSWORD, replace(PAPER, left=3)], [Point(Ask.MAKE_CODES)]),
        ([replace(KEY, doubted=True), CLOUD, PAPER], [Point(Ask.LOOK_AT, "k1")]),
        ([replace(KEY, used=NOW - UNUSED_MS), CLOUD, PAPER], [Point(Ask.STILL_YOURS, "k1")]),
        ([replace(KEY, used=0, created=1), CLOUD, PAPER], [Point(Ask.STILL_YOURS, "k1")]),
        ([CLOUD, replace(APP, used=1), PASSWORD, PAPER], [Point(Ask.STILL_YOURS, "totp")]),
    ],
)  # fmt: skip
def test_what_is_asked(held: list[Described], asked: list[Point]) -> None:
    """Nothing when all is well; the most pressing first."""
    assert points(held, NOW) == asked


async def test_it_is_asked_once_a_year_until_it_was_looked_at() -> None:
    """Not before the year is over, then until its owner says that they have looked, and a year later again."""
    house = MemoryHouse()
    person = await house.person(Kind.PASSWORD)
    begun = (await house.accounts.get(person.id)).reviewed
    house.clock.ms = begun + 365 * DAY_MS - 1
    assert await house.whole.review(person.id) is None
    house.clock.ms += 1
    assert await house.whole.review(person.id) == (Point(Ask.ADD_PASSKEY), Point(Ask.MAKE_CODES))
    await house.accounts.confirm(person.id)
    assert await house.whole.review(person.id) is None
    house.clock.ms += 365 * DAY_MS
    assert await house.whole.review(person.id) is not None
    with pytest.raises(NotFound):
        await house.whole.review("nobody")
