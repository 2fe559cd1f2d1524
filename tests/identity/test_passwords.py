"""Passwords beyond the common suite: history, age, what becomes known, and hashes that are made anew."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import replace

import msgspec
import pytest
from argon2 import PasswordHasher

from identity.clinic import ANN, BETTER, GOOD, Clinic, clinic, slots
from medlock.crypto.passwords import canonical, check_password, hash_password, nobodys_hash, outdated
from medlock.errors import BadRequest, NotAuthenticated, Tampered, Unavailable
from medlock.identity.factors.password import PasswordRow
from medlock.identity.factors.shape import Answer, Notice, Owner
from medlock.identity.passwords.ageing import DAY_MS
from medlock.identity.passwords.check import UnfitPassword
from medlock.identity.passwords.profiles import Rule, policies
from medlock.identity.slots import SLOTS, WAITING_MAX, Slots

PEPPER = bytes(range(32))
CLASSIC = policies("classic:90")
WORDS = ("Kettle orbit 93 jam", "Sixteen walruses 4 hum", "Plum & tractor 7 sky", "Zebra 8 notebook, rain")


async def enrolled(world: Clinic, new: str, present: str = "", owner: Owner = ANN) -> None:
    offer = await world.passwords.offer(owner, "b")
    change = await world.passwords.accept(owner, Answer(new, offer.ticket, "b", present))
    await world.backend.commit(change.batch)


async def refused(world: Clinic, new: str, present: str = "", owner: Owner = ANN) -> set[Rule]:
    with pytest.raises(UnfitPassword) as refusal:
        await enrolled(world, new, present, owner)
    assert new not in str(refusal.value)
    return {each.rule for each in refusal.value.findings}


def test_a_hash_says_its_parameters_and_needs_the_pepper() -> None:
    """Argon2id, 64 MiB, three passes, one lane; another pepper, another password or a long tail is another hash."""
    made = hash_password(PEPPER, "x" * 256)
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert check_password(PEPPER, made, "x" * 256)
    assert not check_password(PEPPER, made, "x" * 255 + "y")
    assert not check_password(bytes(32), made, "x" * 256)
    assert made != hash_password(PEPPER, "x" * 256)
    assert not outdated(made)


def test_a_hash_that_is_nobodys_costs_the_same() -> None:
    """It has today's parameters, no password, and is another one every time."""
    assert not check_password(PEPPER, nobodys_hash(), "x")
    assert not outdated(nobodys_hash())
    assert nobodys_hash() != nobodys_hash()


def test_what_is_no_hash_is_tampering() -> None:
    """A row that opens but holds no hash is not simply a wrong password; a pepper is a key."""
    with pytest.raises(Tampered):
        check_password(PEPPER, "plain", "plain")
    with pytest.raises(ValueError, match="32"):
        hash_password(b"short", "x")


def test_passwords_are_counted_and_compared_after_normalising() -> None:
    """The same letters from two keyboards are one password; halves of a character are none."""
    made = hash_password(PEPPER, "Å ﬁ 😀")
    assert check_password(PEPPER, made, "A\u030a fi 😀")
    assert len(canonical("😀" * 15)) == 15
    with pytest.raises(BadRequest):
        canonical("\ud83d")


async def test_fifteen_alone_eight_with_a_second_factor() -> None:
    """SP 800-63B-4 §3.1.1.2, each code point counted; 256 at most, and all of them count."""
    world = clinic()
    alone = replace(ANN, second=False)
    assert await refused(world, "tq9-plow-ruxby", owner=alone) == {Rule.LENGTH}
    await enrolled(world, "tq9-plow-ruxby")
    assert await refused(clinic(), "😀🌵🧲🪁🛶🧵🪴") >= {Rule.LENGTH}
    assert await refused(clinic(), "a😀" * 129) == {Rule.MAXIMUM}


async def test_what_attackers_try_first_is_refused_with_the_reason() -> None:
    """Listed, resting on names or dates, weak: each with its own sentence."""
    world = clinic()
    assert Rule.LISTED in await refused(world, "PasswordPassword")
    assert Rule.CONTEXT in await refused(world, "L@keside-Clin1c-1980")
    assert Rule.CONTEXT in await refused(world, "annberg29021980mrn4711")
    assert await refused(world, "aaaaaaaaaaaaaaaaaaaaaaaa") == {Rule.STRENGTH}


async def test_the_present_password_is_asked_for_unless_it_was_lost() -> None:
    """ASVS 5.0 6.2.3; who came in by a recovery code cannot know it."""
    world = clinic()
    await enrolled(world, GOOD)
    with pytest.raises(NotAuthenticated):
        await enrolled(world, BETTER, "not it at all, sorry")
    with pytest.raises(NotAuthenticated):
        await enrolled(world, BETTER)
    await enrolled(world, BETTER, owner=replace(ANN, recovered=True))
    assert await world.passwords.verify(ANN.account, Answer(BETTER))


async def test_classic_wants_classes_history_and_more_than_one_edit() -> None:
    """Three of four classes; none of the last five; not nearly the present one."""
    world = clinic(policies=CLASSIC)
    assert await refused(world, "kettle orbit marmalade") == {Rule.CLASSES}
    await enrolled(world, WORDS[0])
    assert Rule.ONE_EDIT in await refused(world, "Kettle orbit 94 jam", WORDS[0])
    await enrolled(world, WORDS[1], WORDS[0])
    assert await refused(world, WORDS[0], WORDS[1]) == {Rule.HISTORY}
    assert await refused(world, WORDS[1], WORDS[1]) >= {Rule.ONE_EDIT}


async def test_history_is_five_long() -> None:
    """The sixth former password may come back: no more is kept."""
    world = clinic(policies=CLASSIC)
    rows = world.on.identity.drawer("password", PasswordRow)
    key = rows.key(ANN.account)
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    row = PasswordRow(b"m", cheap.hash("a"), 1, former=tuple(cheap.hash(str(n)) for n in range(9)))
    await world.backend.commit(rows.insert(key, row))
    await enrolled(world, WORDS[0], owner=replace(ANN, recovered=True))
    held = await rows.get(key)
    assert held is not None
    assert held.value.former == (row.encoded, *row.former[:4])


async def test_age_comes_with_reminders_and_stops_at_nothing_else() -> None:
    """At 14, 7 and 1 days, then over; the clock starts with a change and only then; nist never asks."""
    world = clinic(policies=CLASSIC)
    await enrolled(world, WORDS[0])
    start = world.clock.ms
    for day, notices, left in [
        (75, set(), 15), (76, {Notice.PASSWORD_REMINDER}, 14), (83, {Notice.PASSWORD_REMINDER}, 7),
        (89, {Notice.PASSWORD_REMINDER}, 1), (90, {Notice.PASSWORD_EXPIRED}, 0),
    ]:  # fmt: skip
        world.clock.ms = start + day * DAY_MS
        proof = await world.passwords.verify(ANN.account, Answer(WORDS[0]))
        assert (set(proof.notices), proof.days_left) == (notices, left)
        (seen,) = await world.passwords.describe(ANN.account)
        assert seen.reminder == (left if Notice.PASSWORD_REMINDER in notices else 0)
    (shown,) = await world.passwords.describe(ANN.account)
    assert (shown.due, shown.stale) == (start + 90 * DAY_MS, True)
    patient = clinic()
    await enrolled(patient, GOOD)
    assert (await patient.passwords.describe(ANN.account))[0].due == 0
    patient.clock.ms += 4_000 * DAY_MS
    proof = await patient.passwords.verify(ANN.account, Answer(GOOD))
    assert (set(proof.notices), proof.days_left) == (set(), None)


async def test_a_long_password_is_exempt_where_the_operator_says_so() -> None:
    """Twenty characters or more do not age under classic:90:exempt-long; nineteen do."""
    for text, notices in ((WORDS[1], set()), ("Kettle orbit 93 jam", {Notice.PASSWORD_EXPIRED})):
        world = clinic(policies=policies("classic:90:exempt-long"))
        await enrolled(world, text)
        world.clock.ms += 100 * DAY_MS
        assert set((await world.passwords.verify(ANN.account, Answer(text))).notices) == notices


async def test_a_password_that_became_known_must_be_changed() -> None:
    """It was fine when it was set; today's list has it: the sign-in says so."""
    world = clinic()
    await enrolled(world, GOOD)
    assert not (await world.passwords.verify(ANN.account, Answer(GOOD))).notices
    world.passwords._listed = {GOOD}
    assert not (await world.passwords.describe(ANN.account))[0].stale
    assert (await world.passwords.verify(ANN.account, Answer(GOOD))).notices == {Notice.PASSWORD_KNOWN}
    assert (await world.passwords.describe(ANN.account))[0].stale
    await enrolled(world, BETTER, GOOD)
    assert not (await world.passwords.describe(ANN.account))[0].stale


async def test_a_hash_with_former_parameters_is_made_anew_at_sign_in() -> None:
    """Only after the right password; its age goes on from where it was."""
    world = clinic()
    rows = world.on.identity.drawer("password", PasswordRow)
    key = rows.key(ANN.account)
    await enrolled(world, GOOD)
    held = await rows.get(key)
    assert held is not None

    keyed = hmac.digest(world.passwords._hashing.pepper, GOOD.encode(), "sha256")
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(keyed)
    await world.backend.commit(rows.replace(held, msgspec.structs.replace(held.value, encoded=weak)))
    with pytest.raises(NotAuthenticated):
        await world.passwords.verify(ANN.account, Answer("wrong"))
    assert (await rows.get(key)).value.encoded == weak
    await world.passwords.verify(ANN.account, Answer(GOOD))
    renewed = (await rows.get(key)).value
    assert not outdated(renewed.encoded)
    assert renewed.created == held.value.created
    await world.passwords.verify(ANN.account, Answer(GOOD))


async def test_the_loop_goes_on_while_two_hash() -> None:
    """Eight sign-ins at once: never more than two hash, and the loop is never held up for long."""
    running, most, gaps = 0, 0, []
    own = Slots()

    def work() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        made = hash_password(PEPPER, "x")
        running -= 1
        return made

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(own.run(work) for _ in range(8)))
    watcher.cancel()
    own.close()
    assert most == SLOTS
    assert len(gaps) > 20
    assert sorted(gaps)[len(gaps) // 2] < 0.05


async def test_a_queue_has_an_end_and_a_caller_who_leaves_keeps_their_slot() -> None:
    """Past the bound people are asked to come back; giving up does not make a hash run beside two others."""
    own = Slots()
    tasks = [asyncio.create_task(own.run(time.sleep, 0.005)) for _ in range(SLOTS + WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await own.run(time.sleep, 0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    assert own._taken > SLOTS + WAITING_MAX - 2
    await asyncio.gather(*tasks[1:])
    assert await own.run(lambda: 7) == 7
    own.close()


async def test_what_raises_in_a_slot_raises_for_the_caller() -> None:
    """And leaves the slot free."""
    with pytest.raises(ZeroDivisionError):
        await slots().run(lambda: 1 // 0)
    assert await slots().run(lambda: 1) == 1
