"""A hierarchy is refused with the line that breaks it."""

import numpy as np
import pytest

from medlock.deid.tabular.columns import column, subset_rows, table
from medlock.deid.tabular.counts import Rows
from medlock.deid.tabular.hierarchy import Hierarchy
from medlock.errors import BadRequest

REFUSED = [
    ((), "The hierarchy of age is empty"),
    (((),), "The hierarchy of age is empty"),
    ((("1", "*"), ("2",)), "Line 2 of the hierarchy of age has 1 levels, line 1 has 2"),
    ((("1", "*"), ("2", "*"), ("1", "*")), "Lines 1 and 3 of the hierarchy of age are for the same value"),
    ((("1", "a", "x"), ("2", "a", "y")), "Lines 1 and 2 of the hierarchy of age are alike on level 1"),
]


@pytest.mark.parametrize(("lines", "says"), REFUSED)
def test_refused(lines, says):
    """The sentence names attribute and line."""
    with pytest.raises(BadRequest, match=says):
        Hierarchy("age", lines)


def test_levels():
    """Groups, words and shares level by level."""
    found = Hierarchy("age", (("1", "low", "*"), ("2", "low", "*"), ("9", "high", "*")))
    assert [list(group) for group in found.groups] == [[0, 1, 2], [0, 0, 1], [0, 0, 0]]
    assert found.labels[1] == ("low", "high")
    assert np.allclose(found.shares[1], [2 / 3, 2 / 3, 1 / 3])


def test_value_outside_hierarchy():
    """The error names row and column, and not the value."""
    with pytest.raises(BadRequest, match="Row 3 has a value in column age") as caught:
        column("age", ["1", "1", "secret"]).leaves(Hierarchy("age", (("1", "*"),)))
    assert "secret" not in str(caught.value)


def test_ids_must_be_unique():
    """The first row that repeats an id, with the row it repeats."""
    column("id", ["a", "b", "c"]).require_unique()
    with pytest.raises(BadRequest, match="Rows 2 and 4 have the same id"):
        column("id", ["a", "b", "c", "b", "a"]).require_unique()


def test_unknown_column():
    """The error lists the columns that there are."""
    with pytest.raises(BadRequest, match="no column zip; its columns are age, sex"):
        table({"age": ["1"], "sex": ["F"]}).column("zip")


def test_subset():
    """Rows of the part are found once each; one that is not there is named."""
    whole = table({"a": ["1", "2", "2", "3"]})
    assert list(subset_rows(whole, table({"a": ["2", "3"]}))) == [False, True, False, True]
    with pytest.raises(BadRequest, match="Row 3 of the subset"):
        subset_rows(whole, table({"a": ["2", "2", "2"]}))


def test_empty_table():
    """Nothing to count is an error."""
    with pytest.raises(BadRequest, match="no rows"):
        Rows([np.array([], np.int32)], {}).counted()


def test_ranks():
    """Numbers are ordered as numbers, words as words."""
    assert list(column("n", ["10", "9", "9.5"]).ranks) == [2, 0, 1]
    assert list(column("w", ["10", "9", "x"]).ranks) == [0, 1, 2]
