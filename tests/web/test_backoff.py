"""When a worker that died is started again."""

from hypothesis import given
from hypothesis import strategies as st

from medlock.web.backoff import CALM_SECONDS, LONGEST_SECONDS, LOOP_DEATHS, Backoff


def test_the_first_death_costs_no_time():
    """One accident is repaired at once; the second in a row waits, each further one twice as long, up to a limit."""
    backoff = Backoff()
    pauses = [backoff.died(0.0) for _ in range(12)]
    assert pauses[:5] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == LONGEST_SECONDS


def test_a_loop_is_told_and_a_calm_minute_ends_it():
    """Three in a row are a loop; after a calm minute the next death is a first one."""
    backoff = Backoff()
    for _ in range(LOOP_DEATHS):
        assert not backoff.looping
        pause = backoff.died(10.0)
    assert backoff.looping
    assert backoff.died(10.0 + pause + CALM_SECONDS) == 0.0
    assert not backoff.looping


@given(st.lists(st.floats(0, 1_000), max_size=40))
def test_pauses_never_shrink_while_deaths_go_on(gaps):
    """Whatever the times between deaths are: a pause is shorter than the one before only after a calm minute."""
    backoff, now, before = Backoff(), 0.0, 0.0
    for gap in gaps:
        now += gap
        pause = backoff.died(now)
        assert 0 <= pause <= LONGEST_SECONDS
        assert pause >= before or gap >= CALM_SECONDS
        now, before = now + pause, pause
