"""Whether the time of an answer tells that something is hidden: pairs of questions, asked in turn, in random order.

What is compared is how often an answer about a patient who hides something took longer than one about a twin who never
had it (area under the ROC curve, by ranks; 0.5 tells nothing). In process, without a socket, so that nothing but the
server's own work is in the figures: what can be told through a network is less.

careful  the twin has the same consents, and nothing that they would hide
plain    the twin never gave a consent either
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from verdict import measure

from medlock.defence.leaktest.attempts import Ask
from web.invisible import Invisible, invisible, told

_PATIENTS = 12
_HIDDEN_ID = ("/Observation/x-{}", "/Observation/x-{}/_history")
_PART = (
    "/Patient/{}",
    "/Patient/{}/$everything",
    "/Patient?_id={}&_revinclude=Observation:subject",
    "/Observation?patient={}",
    "/Observation?patient={}&_summary=count",
    "/Observation?_id=x-{}",
)
_ALL = ("/Patient/{}", "/Patient?_id={}", "/Observation?patient={}", "/Observation/a-{}")


def invisible_measures(pairs: int) -> list[dict[str, Any]]:
    """The worst of all kinds of questions, each with so many pairs."""
    found = {name: asyncio.run(_areas(pairs, careful=name == "careful")) for name in ("careful", "plain")}
    return [
        measure(f"invisible_{name}", max(areas.values()), pairs=pairs, worst=max(areas, key=areas.get), each=areas)  # type: ignore[arg-type]
        for name, areas in found.items()
    ]


async def _areas(pairs: int, *, careful: bool) -> dict[str, float]:
    """The area for each kind of question."""
    asked = [("dr", each, 0) for each in (*_HIDDEN_ID, *_PART)] + [("bob", each, 5_000) for each in _ALL]
    with tempfile.TemporaryDirectory(prefix="medlock-invisible-") as folder:
        async with invisible(Path(folder), _PATIENTS, twins_careful=careful) as site:
            return {f"{who} {each}": await _area(site, who, each, offset, pairs) for who, each, offset in asked}


async def _area(site: Invisible, who: str, template: str, offset: int, pairs: int) -> float:
    """One kind."""
    dice, times = Random(7), ([], [])
    asks = [told(template, number, offset) for number in range(_PATIENTS)]
    for at in range(-_PATIENTS, pairs):  # those before 0 warm what is kept
        pair = asks[dice.randrange(_PATIENTS)]
        if at % 500 == 0:
            gc.collect()
        first = dice.randrange(2)
        for which in (first, 1 - first):
            took = await _timed(site, who, (pair.first, pair.second)[which])
            if at >= 0:
                times[which].append(took)
    return round(_told(*times), 3)


async def _timed(site: Invisible, who: str, ask: Ask) -> int:
    began = time.perf_counter_ns()
    await site.caller.call(ask, site.tokens[who])
    return time.perf_counter_ns() - began


def _told(first: list[int], second: list[int]) -> float:
    """How well a threshold tells the two apart, whichever way round (Mann and Whitney; ties count half)."""
    every = np.array(first + second)
    order = np.sort(every)
    ranks = (np.searchsorted(order, every, "left") + np.searchsorted(order, every, "right") + 1) / 2
    found = (ranks[: len(first)].sum() - len(first) * (len(first) + 1) / 2) / (len(first) * len(second))
    return float(max(found, 1 - found))
