"""Residual rules: what each node means, that a tombstone meets none, and that what is remembered is remembered rightly."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from medlock.access.decide import decide
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.residual import AllOf, AnyOf, Asked, Met, Rule, Seen, Unless, holds, settled
from medlock.access.scopes import parse_scopes
from medlock.fhir.grammar import parse_search
from medlock.fhir.question import Interaction, Question
from medlock.store.bodies import Meta


class Stored(NamedTuple):
    """One version, opened."""

    meta: Meta
    body: bytes
    tag: int = 0


def met(text: str) -> Met:
    """The rule of one condition."""
    name, _, value = text.partition("=")
    return Met(parse_search("Observation", ((name, value),), now_ms=0, max_count=0).conditions)


FINAL, AMENDED = met("status=final"), met("status=amended")
BODY = json.dumps({"resourceType": "Observation", "id": "o", "status": "final"}).encode()


def seen(*, deleted: bool = False, mark: int = 0) -> Seen:
    """A final observation, or what is left of it."""
    return Seen(Meta("Observation", "o", 1, 0, ("ann",), deleted=deleted), b"" if deleted else BODY, mark=mark)


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        (FINAL, True),
        (AMENDED, False),
        (met("_id=o"), True),
        (AllOf(()), True),
        (AllOf((FINAL, AMENDED)), False),
        (AnyOf(()), False),
        (AnyOf((AMENDED, FINAL)), True),
        (Unless(AMENDED), True),
        (Unless(AnyOf((FINAL,))), False),
        (Asked(lambda each: each.meta.id == "o"), True),
        (Asked(lambda each: each.resource["status"] == "amended"), False),
    ],
)
def test_each_node_means_what_it_says(rule: Rule, answer: bool) -> None:
    """All of none hold, one of none does not, and so on."""
    assert holds(rule, seen()) is answer


@pytest.mark.parametrize(
    "scopes", ["user/Observation.rs?status=final", "user/*.rs?_tag=http://t|x user/Observation.rs?status=final"]
)
def test_a_tombstone_meets_no_rule_by_itself(scopes: str) -> None:
    """It says nothing, so a Grant with a rule on its type admits none: whoever tells of one asks what was before it."""
    who = mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes(scopes))
    grant = decide(who, Question(Interaction.READ, "Observation"))
    assert grant.admits(Stored(Meta("Observation", "o", 1, 0, ("ann",)), BODY))
    for patients in (("ann",), ()):
        gone = Meta("Observation", "o", 2, 0, patients, deleted=True)
        assert not grant.admits(Stored(gone, b""))
        assert not grant.shows(Seen(gone, b""))
    assert grant.everyone is not None
    assert not grant.everyone.admits(seen(deleted=True))


def test_shared_resources_meet_the_rule_too() -> None:
    """What belongs to nobody is asked like what belongs to somebody."""
    who = mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/Practitioner.rs?active=true"))
    grant = decide(who, Question(Interaction.READ, "Practitioner"))
    for active in (True, False):
        body = json.dumps({"resourceType": "Practitioner", "id": "p", "active": active}).encode()
        assert grant.admits(Stored(Meta("Practitioner", "p", 1, 0), body)) is active


def test_an_answer_is_remembered_for_these_bytes_under_this_rule() -> None:
    """The same mark under the same rule is not asked again; another mark, another rule, or no mark is."""
    asked: list[int] = []

    def count(each: Seen) -> bool:
        asked.append(each.mark)
        return True

    rule = Asked(count)
    for mark in (7, 7, 8, 0, 0):
        assert settled(rule, seen(mark=mark))
    assert asked == [7, 8, 0, 0]
    assert settled(Asked(count), seen(mark=7))
    assert asked == [7, 8, 0, 0, 7]
    assert not settled(Unless(rule), seen(mark=7))
