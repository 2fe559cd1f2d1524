"""Differentially private answers: noise of the right size, and a budget that cannot be overspent."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from medlock.deid.tabular.columns import table
from medlock.deid.tabular.ledger import Ledger
from medlock.deid.tabular.noise import PrivateTable
from medlock.errors import BadRequest, Conflict, SetupError

PEOPLE = table({"sex": ["F"] * 700 + ["M"] * 300})


@pytest.fixture
def ledger(tmp_path):
    """An empty ledger."""
    return Ledger(tmp_path / "ledger.jsonl")


def test_noise_has_the_size_it_should(ledger):
    """The mean absolute error of discrete Laplace noise of scale 1/epsilon, over 4000 empty categories."""
    ledger.give("lab", 1.0)
    names = [str(number) for number in range(4000)]
    found = PrivateTable(PEOPLE, ledger, "lab").histogram("sex", names, 0.5)
    q = math.exp(-0.5)
    assert sum(map(abs, found.values())) / len(found) == pytest.approx(2 * q / (1 - q * q), rel=0.1)
    assert ledger.balances()["lab"].spent == pytest.approx(0.5)


def test_histogram_counts_given_categories_only(ledger):
    """A category without rows is counted, a value without category is not."""
    ledger.give("lab", 100)
    found = PrivateTable(PEOPLE, ledger, "lab").histogram("sex", ["M", "X"], 20.0)
    assert set(found) == {"M", "X"}
    assert abs(found["M"] - 300) < 5
    assert abs(found["X"]) < 5


def test_budget_is_refused_when_spent(ledger):
    """Eight answers of an eighth fit, the ninth is refused and costs nothing."""
    ledger.give("lab", 1.0)
    for _ in range(8):
        ledger.spend("lab", 0.125, "count")
    with pytest.raises(Conflict, match="already 1 is spent"):
        ledger.spend("lab", 0.001, "count")
    assert ledger.balances()["lab"].spent == 1.0
    assert ledger.balances()["lab"].answers == 8


def test_more_rows_a_person_cost_as_much_and_shake_more(ledger):
    """The epsilon paid is the one asked for, whatever a person contributes."""
    ledger.give("lab", 10)
    PrivateTable(PEOPLE, ledger, "lab", rows_per_person=5).count(1.0)
    assert ledger.balances()["lab"].spent == pytest.approx(1.0)


def test_recipients_are_apart(ledger):
    """One recipient's spending leaves the other's budget."""
    ledger.give("a", 1)
    ledger.give("b", 1)
    ledger.spend("a", 1, "count")
    ledger.spend("b", 1, "count")
    with pytest.raises(Conflict, match="has no privacy budget"):
        ledger.spend("c", 0.1, "count")
    with pytest.raises(Conflict, match="budgets are given once"):
        ledger.give("a", 5)


def test_no_race_overspends(ledger):
    """Forty requests for an eighth of a budget of one: eight get it."""
    ledger.give("lab", 1.0)

    def ask(_):
        try:
            ledger.spend("lab", 0.125, "count")
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(40))) == 8


def test_cut_line_is_dropped_and_damage_refused(ledger, tmp_path):
    """A last line that was never finished was never acknowledged; any other damage stops all answers."""
    ledger.give("lab", 1.0)
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"recipient": "lab", "eps')
    ledger.spend("lab", 0.5, "count")
    assert [json.loads(line).get("epsilon") for line in path.read_text().splitlines()] == [None, 0.5]
    path.write_text("not a ledger\n")
    with pytest.raises(SetupError, match="Line 1 of"):
        ledger.spend("lab", 0.1, "count")


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf])
def test_bad_epsilon(ledger, epsilon):
    """Nothing but a number above zero buys an answer."""
    ledger.give("lab", 1.0)
    with pytest.raises(BadRequest):
        ledger.spend("lab", epsilon, "count")


def test_bad_categories(ledger):
    """Categories are given once each, of a column that exists."""
    ledger.give("lab", 1.0)
    private = PrivateTable(PEOPLE, ledger, "lab")
    with pytest.raises(BadRequest, match="each category"):
        private.histogram("sex", ["F", "F"], 0.1)
    with pytest.raises(BadRequest, match="no column"):
        private.histogram("age", ["F"], 0.1)
    assert ledger.balances()["lab"].spent == 0
