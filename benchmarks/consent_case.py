"""The consent engine: one decision over 50 consents of 10 provisions each.

cold      the request is new: the ruling is made and the first resource decided; the consents were read before
compiled  the ruling is there: one further resource, of labels seen before, whose body some provisions ask about
Beside them, for the record: the book of all consents out of FHIR JSON, which is made when one of them changes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from verdict import measure

from consent import form, worlds
from medlock.access.consent.book import Book
from medlock.access.consent.model import Consent
from medlock.access.consent.policy import Policy
from medlock.access.consent.reading import read
from medlock.access.consent.ruling import Ruling, Site

CONSENTS, PROVISIONS = 50, 10
_TIMES = 400


def consent_measures(rounds: int) -> list[dict[str, Any]]:
    """Medians over all rounds."""
    chance = Random(1)
    resources = [_consent(chance, number) for number in range(CONSENTS)]
    asks = [form.ask(worlds.request(chance)) for _ in range(_TIMES)]
    facts = [form.facts(worlds.resource(chance)) for _ in range(_TIMES)]
    site = Site(Policy.BASIC_NORMAL, form.PURPOSES)
    book = _book(resources)
    rulings = [Ruling(book, ask, site) for ask in asks]
    for ruling in rulings:
        for each in facts:
            ruling.permits(each)
    cold = _median(rounds, lambda at: Ruling(book, asks[at], site).permits(facts[at]))
    compiled = _median(rounds, lambda at: rulings[at].permits(facts[-at]))
    whole = _median(1, lambda _: _book(resources), 20)
    return [
        measure("consent_cold", cold, book_from_json_us=whole, consents=CONSENTS, provisions=len(book.nodes)),
        measure("consent_compiled", compiled),
    ]


def _consent(chance: Random, number: int) -> dict[str, Any]:
    """A permit that is open to many, with nine exceptions."""
    nested = [{**worlds.provision(chance, 2), "period": {"start": "2026-01-01"}} for _ in range(PROVISIONS - 1)]
    for each in nested:
        each.pop("provision", None)
    root = {"type": "permit", "purpose": ["TREAT", "HPAYMT", "HOPERAT"], "provision": nested}
    return form.consent({"provision": root}, number)


def _book(resources: list[dict[str, Any]]) -> Book:
    found = [read(each, form.PURPOSES) for each in resources]
    return Book("p", [each for each in found if isinstance(each, Consent)])


def _median(rounds: int, act: Callable[[int], object], times: int = _TIMES) -> float:
    """Microseconds that one takes."""
    found = []
    for _ in range(rounds):
        for at in range(times):
            began = time.perf_counter_ns()
            act(at)
            found.append((time.perf_counter_ns() - began) / 1000)
    return median(found)
