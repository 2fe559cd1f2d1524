"""The scraping guard: distinct patients an hour, exact within a worker, once over all workers, with an alarm at half."""

import asyncio

import pytest

from medlock.access.principal import Role
from medlock.errors import Throttled
from medlock.settings import rates_of
from medlock.web.limits.patients import Patients
from rate_limits.world import Counter, Ears, Hand, caller


def guard(rates, clock=None, ears=None, shared=None):
    """A guard; what is not named is off."""
    return Patients(rates_of(f"all=off {rates}"), clock or Hand(), ears or Ears(), shared)


def see(patients, principal, slots):
    """How many of these, one by one, were let through."""
    through = 0
    for slot in slots:
        try:
            patients.saw(principal, [slot])
        except Throttled:
            continue
        through += 1
    return through


def test_the_limit_is_on_different_patients():
    """Reading the same ones again costs nothing, also beyond the limit; a further one is refused until the next hour."""
    clock, ears = Hand(), Ears()
    patients = guard("people_patients=10/h", clock, ears)
    assert see(patients, caller(), range(25)) == 10
    assert see(patients, caller(), [0, 1, 2] * 50) == 150
    assert ears.crowds == [("dr", "", 5)]
    assert ears.refusals == ["people_patients"] * 15
    clock.ms += 3_600_000
    assert see(patients, caller(), range(100, 125)) == 10


def test_a_page_counts_all_that_it_shows():
    """An answer with more new patients than are left is refused whole, and charges nothing."""
    patients = guard("people_patients=10/h")
    patients.saw(caller(), range(8))
    with pytest.raises(Throttled):
        patients.saw(caller(), range(20, 23))
    patients.saw(caller(), [20, 21])


def test_who_is_counted_how():
    """Patients' own apps never; staff also when an app is held to one patient after another; programs by a limit of theirs; an app over all who use it."""
    patients = guard("people_patients=3/h program_patients=6/h")
    assert see(patients, caller("p", Role.PATIENT, patient="p"), range(50)) == 50
    assert see(patients, caller("b", Role.BACKEND), range(50)) == 6
    assert sum(see(patients, caller("e", patient=str(each)), [each]) for each in range(50)) == 3
    assert see(patients, caller("a", client="x"), range(3)) == 3
    assert see(patients, caller("c", client="x"), range(10, 13)) == 3
    assert see(patients, caller("d", client="x"), range(20, 23)) == 0


async def test_workers_count_a_patient_once():
    """Four workers that show the same patients to one person count them once; different ones add up."""
    shared, clock = Counter(), Hand()
    crew = [guard("people_patients=128/h", clock, shared=shared) for _ in range(4)]
    for each in crew:
        assert see(each, caller(), range(20)) == 20
        await each.share(shared)
    assert {each._accounts["dr"].total for each in crew} <= {20, 21}
    through = 0
    for step in range(40):
        for at, each in enumerate(crew):
            through += see(each, caller(), [1_000 + 10 * step + at])
            await each.share(shared)
    assert 128 - 20 - 4 <= through <= 128 - 20 + 4


async def test_an_absent_counter_is_told_and_the_guard_goes_on():
    """What a worker knows by itself still counts."""
    shared, ears = Counter(), Ears()
    shared.away = True
    patients = guard("people_patients=5/h", ears=ears, shared=shared)
    assert see(patients, caller(), range(20)) == 5
    await patients.share(shared)
    assert ears.times_alone == 1
    assert see(patients, caller(), [30]) == 0


async def test_sharing_goes_on_by_itself(monkeypatch):
    """The task tells what was seen, and ends when it is cancelled."""
    monkeypatch.setattr("medlock.web.limits.patients.SHARE_SECONDS", 0.001)
    shared = Counter()
    patients = guard("people_patients=500/h", shared=shared)
    see(patients, caller(), range(5))
    task = asyncio.create_task(patients.share_on())
    while len(shared.rows) < 5:  # noqa: ASYNC110 - there is no event in what is tested
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
