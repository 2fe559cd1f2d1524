"""How much of its privacy budget each recipient has spent: a file that remembers every differentially private answer.

Answers to one recipient add up (basic composition, Dwork & Roth 2014, theorem 3.16), so the sum of their epsilons is
bounded by the budget the recipient was given; an answer that would exceed it is refused before it is computed. The file
is JSON Lines, one object for each budget given and each answer. It is locked while it is read and appended, and an
answer is written and on disk before its noise is drawn.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from medlock.errors import BadRequest, Conflict, SetupError


@dataclass(frozen=True)
class Balance:
    """A recipient's budget, what is spent of it, and by how many answers."""

    budget: float
    spent: float
    answers: int


class Ledger:
    """The ledger in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def give(self, recipient: str, budget: float) -> None:
        """Set a recipient's budget, once. Raises Conflict when it is set already, BadRequest for a bad number."""
        _positive(budget, "budget")
        with self._locked(os.O_CREAT) as file:
            if recipient in _balances(_entries(file, self._path)):
                msg = f"{recipient} has a budget already; budgets are given once."
                raise Conflict(msg)
            _append(file, {"recipient": recipient, "budget": budget})

    def spend(self, recipient: str, epsilon: float, question: str) -> Balance:
        """Take epsilon from a recipient's budget for a question, and remember both.

        Raises Conflict, and spends nothing, when the budget does not reach; BadRequest for a bad number.
        """
        _positive(epsilon, "epsilon")
        with self._locked() as file:
            entries = _entries(file, self._path)
            balance = _balances(entries).get(recipient)
            if balance is None:
                msg = f"{recipient} has no privacy budget; give one first."
                raise Conflict(msg)
            if _exact(entries, recipient) + Fraction(epsilon) > Fraction(balance.budget):
                msg = (
                    f"This answer costs {epsilon:g}; of the privacy budget of {recipient}, {balance.budget:g}, already "
                    f"{balance.spent:g} is spent. It is refused."
                )
                raise Conflict(msg)
            _append(file, {"recipient": recipient, "epsilon": epsilon, "question": question})
            return Balance(balance.budget, balance.spent + epsilon, balance.answers + 1)

    def balances(self) -> dict[str, Balance]:
        """Every recipient. Raises SetupError for a file that is not a ledger."""
        with self._locked() as file:
            return _balances(_entries(file, self._path))

    @contextmanager
    def _locked(self, flags: int = 0) -> Iterator[IO[bytes]]:
        try:
            file = os.fdopen(os.open(self._path, os.O_RDWR | flags, 0o600), "r+b")
        except FileNotFoundError:
            msg = f"There is no ledger {self._path}; giving a recipient a budget makes one."
            raise SetupError(msg) from None
        except OSError as error:
            msg = f"The ledger {self._path} cannot be opened: {error.strerror}."
            raise SetupError(msg) from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _entries(file: IO[bytes], path: Path) -> list[dict[str, Any]]:
    """All entries. A last line cut short was never acknowledged: it is cut off. Anything else unreadable is refused."""
    file.seek(0)
    data = file.read()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        file.truncate(whole)
    found = []
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            entry = json.loads(line)
            float(entry.get("budget", entry.get("epsilon")))
            found.append(entry | {"recipient": str(entry["recipient"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            msg = f"Line {number} of {path} is not an entry of a ledger; nothing is answered until it is mended."
            raise SetupError(msg) from None
    return found


def _append(file: IO[bytes], entry: dict[str, Any]) -> None:
    file.seek(0, os.SEEK_END)
    file.write(json.dumps(entry).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _balances(entries: list[dict[str, Any]]) -> dict[str, Balance]:
    budgets = {entry["recipient"]: float(entry["budget"]) for entry in entries if "budget" in entry}
    return {
        name: Balance(
            budget,
            float(_exact(entries, name)),
            sum("epsilon" in entry and entry["recipient"] == name for entry in entries),
        )
        for name, budget in budgets.items()
    }


def _exact(entries: list[dict[str, Any]], recipient: str) -> Fraction:
    """What a recipient has spent, without rounding."""
    spent = (entry["epsilon"] for entry in entries if "epsilon" in entry and entry["recipient"] == recipient)
    return sum(map(Fraction, spent), Fraction())


def _positive(number: float, name: str) -> None:
    if not (math.isfinite(number) and number > 0):
        msg = f"The {name} must be a number above 0."
        raise BadRequest(msg)
