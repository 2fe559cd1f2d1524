"""The limit: never more different patients in a minute than it says, for one process and for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import naive
from broker.world import Hours
from medlock.errors import Unavailable
from medlock.store.broker.allowance import Allowance, Capped


def admitted(allowance, pid, *slots):
    """Whether these were counted."""
    try:
        allowance.spend(pid, slots)
    except Capped as refusal:
        return not 1 <= refusal.retry_after <= 61  # a time that makes no sense shows as an answer that makes none
    return True


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(0, 40, allow_nan=False), st.integers(1, 9)), max_size=60),
)
def test_one_process_as_the_page_says(limit, steps):
    """Any order of patients and pauses, against a slow reading of the rule."""
    hours, events, answers = Hours(), [], []
    allowance = Allowance(limit, 1, hours)
    for pause, slot in steps:
        hours.now += pause
        events.append((hours.now, slot))
        answers.append(admitted(allowance, 7, slot))
    assert answers == naive.window(events, limit)


@given(st.integers(1, 4), st.integers(1, 3), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40)), max_size=80))
def test_all_processes_together_have_a_limit(limit, workers, asked):
    """However many processes there are, within a minute no more different patients than limit times workers."""
    allowance = Allowance(limit, workers, Hours())
    given_out, by = set(), {}
    for pid, slot in asked:
        if admitted(allowance, pid, slot):
            given_out.add(slot)
            by.setdefault(pid, set()).add(slot)
    assert len(given_out) <= limit * workers
    assert all(len(slots) <= limit for slots in by.values())


def test_a_refusal_says_when_to_come_back():
    """After that time the patient is admitted, and not one second of it before."""
    hours = Hours()
    allowance = Allowance(2, 1, hours)
    allowance.spend(1, (10,))
    hours.now += 15
    allowance.spend(1, (11,))
    with pytest.raises(Capped) as refusal:
        allowance.spend(1, (12,))
    assert isinstance(refusal.value, Unavailable)
    assert refusal.value.http_status == 503
    hours.now += 44.9
    assert not admitted(allowance, 1, 12)
    hours.now += refusal.value.retry_after - 44.9
    assert admitted(allowance, 1, 12)


def test_several_at_once_are_refused_whole():
    """None of them counts then."""
    allowance = Allowance(3, 1, Hours())
    assert not admitted(allowance, 1, 1, 2, 3, 4)
    assert admitted(allowance, 1, 5, 6, 7)
    assert admitted(allowance, 1, 7, 5)
    assert not admitted(allowance, 1, 7, 8)


def test_processes_that_come_and_go_do_not_fill_memory():
    """The longest known is forgotten; the limit of all stays."""
    allowance = Allowance(1, 2_000, Hours())
    for pid in range(5_000):
        admitted(allowance, pid, pid + 1)
    assert len(allowance._each) <= 1_024
    assert len(allowance._all.since) == 2_000
