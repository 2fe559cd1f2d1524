"""One audit: every measure and attack on a release, and the verdict. A function of tables; `job` reads the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from medlock.deid.audit.attack import ATTACKS, Attack
from medlock.deid.audit.cover import Sight, seen
from medlock.deid.audit.exposure import Kept, Node, kept, levels, others, risk_after, risk_before
from medlock.deid.audit.inference import inference
from medlock.deid.audit.linkability import halves, linkability
from medlock.deid.audit.register import Linkage, linkage
from medlock.deid.audit.singling_out import singling_out
from medlock.deid.audit.thresholds import DEFAULT, Finding, held
from medlock.deid.tabular.columns import Column, Table
from medlock.deid.tabular.hierarchy import Hierarchy
from medlock.deid.tabular.risk import Risks
from medlock.errors import BadRequest

JOINT = 4  # attributes in a joint predicate, besides all of them
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Question:
    """What is audited, and how.

    `quasi` are the quasi-identifiers with their hierarchies (None: released as they are). `left` names what the first
    party of the linkability attack knows; without it attributes are dealt in turn. `ids` are the original's
    and the register's, when the right links shall be counted.
    """

    release: Table
    original: Table
    quasi: Mapping[str, Hierarchy | None]
    control: Table | None = None
    secrets: Sequence[str] = ()
    left: Sequence[str] = ()
    register: Table | None = None
    ids: tuple[Column, Column] | None = None
    population: int | None = None
    limits: Mapping[str, float] = field(default_factory=lambda: DEFAULT)
    threshold: float = 0.09
    attacks: int = ATTACKS
    seed: int = 0


@dataclass(frozen=True)
class Audit:
    """What was found. `blocked` when a risk is above its threshold."""

    rows: int
    before: Risks
    after: Risks
    kept: Kept
    levels: dict[str, int | None]
    heights: dict[str, int]
    nodes: list[Node]
    attacks: list[Attack]
    linkage: Linkage | None
    findings: list[Finding]

    @property
    def blocked(self) -> bool:
        """Whether the release must not leave."""
        return any(each.exceeded for each in self.findings)

    @property
    def risks(self) -> dict[str, float | None]:
        """The risks that thresholds are for."""
        return risks_of(self.after, self.attacks, self.linkage)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "rows": self.rows,
            "risk_before": asdict(self.before),
            "risk_after": asdict(self.after),
            "utility": asdict(self.kept),
            "levels": self.levels,
            "heights": self.heights,
            "nodes": [asdict(node) for node in self.nodes],
            "attacks": [_plain(attack) for attack in self.attacks],
            "linkage": None if self.linkage is None else asdict(self.linkage),
            "risks": self.risks,
            "findings": [asdict(each) | {"exceeded": each.exceeded} for each in self.findings],
            "blocked": self.blocked,
        }


def examined(question: Question, progress: Progress = lambda _: None) -> Audit:
    """Audit a release. Raises BadRequest where tables, columns and hierarchies do not fit together."""
    _check(question)
    ladders = {name: ladder for name, ladder in question.quasi.items() if ladder is not None}
    sight = seen(question.release, question.original, question.control, ladders)
    quasi = [sight.names.index(name) for name in question.quasi]
    rnd = np.random.default_rng(question.seed)
    progress("risk and utility")
    measures = (question.threshold, question.population)
    before, after = risk_before(sight, quasi, *measures), risk_after(sight, quasi, *measures)
    nodes = others(sight, quasi, rnd)
    attacks = _attacks(question, sight, rnd, progress)
    linked = None
    if question.register is not None:
        progress("linkage with the register")
        linked = linkage(sight, question.register, question.ids)
    return Audit(
        rows=sight.rows,
        before=before,
        after=after,
        kept=kept(sight, quasi),
        levels=levels(sight, ladders),
        heights={name: ladder.height for name, ladder in ladders.items()},
        nodes=nodes,
        attacks=attacks,
        linkage=linked,
        findings=held(risks_of(after, attacks, linked), _limits(question)),
    )


def risks_of(after: Risks, attacks: Sequence[Attack], linked: Linkage | None) -> dict[str, float | None]:
    """Each risk that a threshold may be for; None where it was not measured."""
    worst: dict[str, float | None] = dict.fromkeys(("singling-out", "linkability", "inference"))
    for attack in attacks:
        worst[attack.kind] = max(worst[attack.kind] or 0.0, attack.risk.high)
    return {
        "prosecutor": after.prosecutor.highest,
        "journalist": after.journalist.highest,
        "marketer": after.marketer,
        "population-uniques": after.population_uniques.get("dankar"),
        **worst,
        "register": None if linked is None else linked.highest,
    }


def _limits(question: Question) -> dict[str, float]:
    """The default's threshold for a register asks for none where there is none."""
    limits = dict(question.limits)
    if question.register is None and question.limits is DEFAULT:
        del limits["register"]
    return limits


def _attacks(question: Question, sight: Sight, rnd: np.random.Generator, progress: Progress) -> list[Attack]:
    found = []
    number = len(sight.attributes)
    for columns in sorted({1, min(JOINT, number), number}):
        progress(f"singling out by {columns} attributes")
        found.append(singling_out(sight, columns, rnd, attacks=question.attacks))
    if number > 1:
        progress("linkability")
        found.append(linkability(sight, *_sides(question, sight), rnd, attacks=question.attacks))
    for name in (question.secrets or sight.names) if number > 1 else ():
        progress(f"inference of {name}")
        secret = sight.names.index(name)
        known = [at for at in range(number) if at != secret]
        found.append(inference(sight, secret, known, rnd, attacks=question.attacks))
    return found


def _sides(question: Question, sight: Sight) -> tuple[list[int], list[int]]:
    if not question.left:
        return halves(len(sight.attributes))
    left = [sight.names.index(name) for name in question.left]
    return left, [at for at in range(len(sight.attributes)) if at not in left]


def _check(question: Question) -> None:
    for name in (*question.quasi, *question.secrets, *question.left):
        question.release.column(name)
    if not question.quasi:
        msg = "Name at least one quasi-identifier."
        raise BadRequest(msg)
    if set(question.left) >= set(question.release.columns):
        msg = "The first party of the linkability attack knows everything; leave the second an attribute."
        raise BadRequest(msg)
    if question.register is not None and not set(question.release.columns) & set(question.register.columns):
        msg = "The register has none of the columns of the release; nothing can be linked."
        raise BadRequest(msg)
    if question.ids is not None and len(question.release) != len(question.original):
        msg = "Right links can be counted only when the release has the rows of the original, in their order."
        raise BadRequest(msg)


def _plain(attack: Attack) -> dict[str, Any]:
    return {
        "kind": attack.kind,
        "detail": attack.detail,
        "attack": asdict(attack.attack),
        "control": None if attack.control is None else asdict(attack.control),
        "baseline": asdict(attack.baseline),
        "risk": asdict(attack.risk),
        "weak": attack.weak,
    }
