"""The plots of a release report, from the document of an audit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from medlock.deid.audit.shapes import AFTER, BAD, BEFORE, INK, PALE, WIDTH, Frame, bar, box, diamond, dot, line, text

Json = dict[str, Any]
RISK_EDGES = (
    (0.01, "up to 1 %"),
    (0.02, "2 %"),
    (0.05, "5 %"),
    (0.0910, "9 %"),
    (0.2, "20 %"),
    (0.5, "50 %"),
    (1, "100 %"),
)
SIZE_EDGES = ((1, "1"), (4, "2-4"), (10, "5-10"), (20, "11-20"), (50, "21-50"), (200, "51-200"), (math.inf, "more"))
LEAST_RISK = 1e-4
Bins = list[tuple[str, int, int]]


def by_risk(audit: Json) -> Bins:
    """Records by the prosecutor's risk of recognising them: label, before, after."""
    return _binned(audit, RISK_EDGES, lambda size: 1 / size)


def by_size(audit: Json) -> Bins:
    """Records by the size of their class: label, before, after."""
    return _binned(audit, SIZE_EDGES, float)


def _binned(audit: Json, edges: Sequence[tuple[float, str]], of: Callable[[int], float]) -> Bins:
    found = []
    for name in ("risk_before", "risk_after"):
        counts = [0] * len(edges)
        for size, classes in audit[name]["histogram"]:
            at = next(place for place, (edge, _) in enumerate(edges) if of(size) <= edge + 1e-12)
            counts[at] += size * classes
        found.append(counts)
    return [(label, found[0][at], found[1][at]) for at, (_, label) in enumerate(edges)]


def bars(frame: Frame, bins: Bins, axis: str) -> str:
    """Two columns a bin: before in grey, after in colour, their numbers above."""
    return frame.around(_bars(bins, axis, frame.height))


def _bars(bins: Bins, axis: str, height: int) -> Iterator[str]:
    floor, room, step = height - 44, height - 90, (WIDTH - 20) / len(bins)
    most = max(1, *(max(before, after) for _, before, after in bins))
    yield bar(10, 6, 12, 12, BEFORE) + text(28, 17, "original") + bar(110, 6, 12, 12, AFTER) + text(128, 17, "release")
    for at, (label, *counts) in enumerate(bins):
        left, width = 10 + at * step, step * 0.4
        for place, (count, colour) in enumerate(zip(counts, (BEFORE, AFTER), strict=True)):
            tall = room * count / most
            x = left + step * 0.08 + place * (width + 2)
            yield bar(x, floor - tall, width, tall, colour) if count else ""
            yield text(x + width / 2, floor - tall - 4, f"{count:,}", "middle") if count else ""
        yield text(left + step / 2, floor + 17, label, "middle")
    yield line((10, floor), (WIDTH - 10, floor), INK)
    yield text(WIDTH / 2, height - 6, axis, "middle", strong=True)


def against(frame: Frame, audit: Json) -> str:
    """Utility against mean risk: other generalisations as points, the release as a diamond."""
    return frame.around(_against(audit, frame.height))


def _against(audit: Json, height: int) -> Iterator[str]:
    floor, top, left, right = height - 46, 34, 70, WIDTH - 16

    def place(utility: float, risk: float) -> tuple[float, float]:
        up = math.log10(max(risk, LEAST_RISK) / LEAST_RISK) / -math.log10(LEAST_RISK)
        return left + (right - left) * utility, floor - (floor - top) * up

    for risk, label in ((1e-4, "0.01 %"), (1e-3, "0.1 %"), (1e-2, "1 %"), (1e-1, "10 %"), (1.0, "100 %")):
        _, y = place(0, risk)
        yield line((left, y), (right, y), PALE) + text(left - 8, y + 4, label, "end")
    for tenth in range(0, 11, 2):
        x, _ = place(tenth / 10, 1)
        yield text(x, floor + 17, f"{tenth / 10:.1f}", "middle")
    for node in audit["nodes"]:
        yield dot(*place(node["granularity"], node["average"]), 3.2, BEFORE, faint=True)
    x, y = place(audit["utility"]["granularity"], audit["risk_after"]["prosecutor"]["average"])
    side = "end" if x > WIDTH / 2 else "start"
    yield diamond(x, y, 9, AFTER) + text(x + (-14 if side == "end" else 14), y + 5, "this release", side, strong=True)
    yield text((left + right) / 2, height - 6, "utility (granularity)", "middle", strong=True)
    yield text(4, 12, "mean risk", strong=True)


def lattice(frame: Frame, audit: Json) -> str:
    """For each attribute its levels as boxes, that of the release filled."""
    return frame.around(_lattice(audit))


def _lattice(audit: Json) -> Iterator[str]:
    for at, (name, height) in enumerate(audit["heights"].items()):
        y, level = 8 + at * 30, audit["levels"][name]
        yield text(150, y + 15, name if len(name) <= 20 else name[:19] + "\N{HORIZONTAL ELLIPSIS}", "end")
        for each in range(height + 1):
            x, here = 164 + each * 34, each == level
            yield bar(x, y, 28, 22, AFTER) if here else box(x, y, 28, 22, BEFORE)
            colour = ' fill="#fff" font-weight="600"' if here else ""
            yield f'<text x="{x + 14}" y="{y + 15}" text-anchor="middle"{colour}>{each}</text>'
        if level is None:
            yield text(172 + (height + 1) * 34, y + 15, "several levels (local recoding)")


def intervals(frame: Frame, rows: Sequence[tuple[str, Json, float | None]]) -> str:
    """For each row its value and interval from 0 to 1, and the threshold as a dashed line."""
    return frame.around(_intervals(rows, frame.height))


def _intervals(rows: Sequence[tuple[str, Json, float | None]], height: int) -> Iterator[str]:
    left, right = 230, WIDTH - 20
    for tenth in range(0, 11, 2):
        x = left + (right - left) * tenth / 10
        yield line((x, 4), (x, height - 24), PALE) + text(x, height - 8, f"{tenth * 10} %", "middle")
    for at, (label, risk, limit) in enumerate(rows):
        y = 18 + at * 24
        low, value, high = (left + (right - left) * risk[name] for name in ("low", "value", "high"))
        colour = BAD if limit is not None and risk["high"] > limit else AFTER
        yield text(left - 10, y + 4, label if len(label) <= 32 else label[:31] + "\N{HORIZONTAL ELLIPSIS}", "end")
        yield line((low, y), (max(high, low + 1), y), colour, width=3) + dot(value, y, 4.5, colour)
        if limit is not None:
            x = left + (right - left) * limit
            yield line((x, y - 9), (x, y + 9), BAD, width=1.5, dash="3 2")


def trend(frame: Frame, runs: Sequence[Json], name: str) -> str:
    """One risk over the audits kept."""
    return frame.around(_trend(runs, name, frame.height))


def _trend(runs: Sequence[Json], name: str, height: int) -> Iterator[str]:
    floor, top, left, right = height - 30, 14, 60, WIDTH - 40
    for tenth in range(0, 11, 5):
        y = floor - (floor - top) * tenth / 10
        yield line((left, y), (right, y), PALE) + text(left - 8, y + 4, f"{tenth * 10} %", "end")
    known = [(at, run) for at, run in enumerate(runs) if run["risks"].get(name) is not None]
    step = (right - left) / max(1, len(runs) - 1)
    points = [(left + at * step, floor - (floor - top) * run["risks"][name]) for at, run in known]
    yield from (line(start, end, AFTER, width=2) for start, end in pairwise(points))
    for (x, y), (_, run) in zip(points, known, strict=True):
        yield diamond(x, y, 7, BAD) if run["blocked"] else dot(x, y, 5, AFTER)
    for (x, _), (_, run) in [(points[0], known[0]), (points[-1], known[-1])] if points else []:
        yield text(x, height - 8, run["at"][:10], "middle")
