"""Multinomial logistic regression over hashed features, trained by Adagrad on sparse rows; deterministic for a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medlock.deid.text.features import SIZE


class Softmax:
    """Weights of (SIZE, kinds); row lookups are sums, so one token costs WIDTH rows."""

    def __init__(self, kinds: int, rate: float = 0.3, decay: float = 1e-6) -> None:
        self.weights = np.zeros((SIZE, kinds), np.float32)
        self._squares = np.full(SIZE, 1e-3, np.float32)
        self._rate, self._decay = rate, decay

    def fit(self, rows: NDArray[np.uint32], wanted: NDArray[np.int64], epochs: int, seed: int) -> Softmax:
        """Train: every epoch sees all tokens in a new order, some features left out so that none is leant on."""
        rng = np.random.default_rng(seed)
        for epoch in range(epochs):
            rate = self._rate * (1 - epoch / epochs) + 0.02
            order = rng.permutation(len(rows))
            for begin in range(0, len(order), 512):
                pick = order[begin : begin + 512]
                self._step(rows[pick], wanted[pick], rate, rng)
        return self

    def _step(self, rows: NDArray[np.uint32], wanted: NDArray[np.int64], rate: float, rng: np.random.Generator) -> None:
        keep = rng.random(rows.shape) > 0.15
        scores = (self.weights[rows] * keep[:, :, None]).sum(1)
        grad = _probabilities(scores)
        grad[np.arange(len(wanted)), wanted] -= 1
        flat = rows[keep]
        each = np.repeat(grad, keep.sum(1), axis=0)
        used, place = np.unique(flat, return_inverse=True)
        order = np.argsort(place, kind="stable")
        bounds = np.searchsorted(place[order], np.arange(len(used)))
        total = np.add.reduceat(each[order], bounds) if len(used) else each
        self._squares[used] += (total**2).mean(1)
        step = rate / np.sqrt(self._squares[used])[:, None]
        self.weights[used] -= step * (total + self._decay * len(wanted) * self.weights[used])


def _probabilities(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
