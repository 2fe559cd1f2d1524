"""How children grow: rounded medians of height, weight and head circumference by age, good enough for a story.

The curves follow the familiar shape of the WHO and CDC growth charts; a child keeps to its own percentile band.
"""

from __future__ import annotations

from bisect import bisect_right

_AGES = (0.0, 0.17, 0.33, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18)
_CURVES = {
    ("height", "male"): (50, 58, 64, 67.5, 72, 76, 82, 87.5, 96, 103, 110, 116, 128, 139, 149, 164, 174, 177),
    ("height", "female"): (49.2, 57, 62, 65.7, 70, 74, 81, 86, 95, 102, 109, 115, 128, 139, 151, 160, 163, 164),
    ("weight", "male"): (3.4, 5.6, 7, 7.9, 8.9, 9.6, 10.9, 12.2, 14.3, 16.3, 18.5, 20.7, 25.5, 32, 40, 51, 61, 69),
    ("weight", "female"): (3.2, 5.1, 6.4, 7.3, 8.2, 8.9, 10.2, 11.5, 13.9, 16, 18, 20.2, 25.5, 33, 42, 50, 54, 57),
    ("head", "male"): (34.5, 39, 41.5, 43.3, 45, 46, 47.4, 48.3, 49.5, 50.3, 50.8, 51, 52, 53, 54, 55, 56, 56),
    ("head", "female"): (33.9, 38, 40.5, 42.2, 43.8, 44.9, 46.2, 47.2, 48.5, 49.3, 49.9, 50.2, 51, 52, 53, 54, 55, 55),
}
GROWN = 18.0


def median(measure: str, sex: str, age: float) -> float:
    """The median of "height" (cm), "weight" (kg) or "head" (cm) at an age in years, straight between the knots."""
    curve = _CURVES[measure, sex]
    right = min(max(bisect_right(_AGES, age), 1), len(_AGES) - 1)
    start, end = _AGES[right - 1], _AGES[right]
    part = min(max((age - start) / (end - start), 0.0), 1.0)
    return curve[right - 1] + part * (curve[right] - curve[right - 1])
