"""Provisions of all consents of a patient in one row, each a bit: what a permit inherits is filled in.

Inheritance is asymmetric (docs/consent.md): a nested permit takes every element that it does not set from the nearest
rule above that sets it, so that what binds the root binds the whole consent. A nested deny takes nothing: it means
what it says, for everybody and everything that it does not name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import structs

from medlock.access.consent.model import Consent, Provision

_INHERITED = ("period", "actors", "purposes", "actions", "classes", "codes", "data_period", "data")


class Node(NamedTuple):
    """A provision with what it inherits.

    `bit` is 1 << its number; `above` is the number of the rule that it stands in, -1 for a root.
    """

    bit: int
    above: int
    rule: Provision
    consent: Consent


def nodes_of(consents: Iterable[Consent]) -> list[Node]:
    """Every provision, each after the one it stands in."""
    found: list[Node] = []
    for consent in consents:
        _add(found, consent, consent.root, ())
    return found


def _add(found: list[Node], consent: Consent, rule: Provision, above: tuple[int, ...]) -> None:
    number = len(found)
    effective = rule if rule.deny else _inherited(rule, [found[each].rule for each in reversed(above)])
    found.append(Node(1 << number, above[-1] if above else -1, effective, consent))
    for child in rule.children:
        _add(found, consent, child, (*above, number))


def _inherited(rule: Provision, above: list[Provision]) -> Provision:
    """A permit with what the rules above it say and it does not; the nearest first."""
    taken: dict[str, object] = {}
    for name in _INHERITED:
        if getattr(rule, name) is None:
            taken[name] = next((value for each in above if (value := getattr(each, name)) is not None), None)
    if not rule.labelled:
        labelled = next((each for each in above if each.labelled), rule)
        taken |= {"levels": labelled.levels, "sensitivities": labelled.sensitivities}
    return structs.replace(rule, **taken)


def below(nodes: list[Node]) -> Iterator[tuple[Node, int]]:
    """Every rule that has rules in it, with the bits of all that stand in it at any depth."""
    under = [0] * len(nodes)
    for number in range(len(nodes) - 1, -1, -1):
        node = nodes[number]
        if node.above >= 0:
            under[node.above] |= node.bit | under[number]
    return ((node, bits) for node, bits in zip(nodes, under, strict=True) if bits)
