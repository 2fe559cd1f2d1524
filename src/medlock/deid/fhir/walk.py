"""Rules compiled per resource type into closures over the R4 structures.

A `Plan` treats the objects of one structure at one kind of place: it holds one handler per JSON member, made when
the member is first met. What distinguishes places is which rules are on their way through them (`State`) and which
rule has already decided (`Decision`); both come from the structures alone, so plans are few and kept for the life
of the compiler. A rule with a condition is evaluated on the resource first, and the few objects that hold what it
selected take a slower path.

Precedence is Microsoft's: of all rules that reach a node or a node around it, the first in the file decides. Rules
of an outer resource come before those of the resources in it. What an object holds and R4 does not know is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from medlock.deid.fhir import handlers as make
from medlock.deid.fhir.absent import ASKED_FOR, absent, can_be_absent
from medlock.deid.fhir.handlers import Handler, Inner
from medlock.deid.fhir.labels import add_labels
from medlock.deid.fhir.nodes import plain_kind, resource_kind, root_of
from medlock.deid.fhir.path_functions import Scope
from medlock.deid.fhir.rules import Rule
from medlock.deid.fhir.run import Json, Leaf, NodeChange, Place, Run, Selected, Treatment, redacted
from medlock.deid.fhir.steps import AS, BY_NAME, BY_TYPE, Step
from medlock.deid.fhir.substitute import Substitution, substituted
from medlock.errors import Unprocessable
from medlock.fhir.structures import Element, Structure, is_primitive, structure

OUTER: Final = 1_000_000  # how much earlier the rules of an outer resource come
_NEVER: Final = OUTER

Item = tuple[int, int, int]  # rank, rule, position of its next step
State = frozenset[Item]


class Decision(NamedTuple):
    """Which rule decides about a node: its rank, and its number; -1 for the treatment of what no rule reaches."""

    rank: int = _NEVER
    rule: int = -1


class Reached(NamedTuple):
    """What the rules on their way say about a child: the one that ends there, and those that go on."""

    own: Decision
    state: State


class Compiler:
    """All plans of one list of rules. `treatments` belong to `rules` one by one.

    With `absent`, what R4 requires and a rule removes is stated as absent, so that the output stays valid.
    """

    def __init__(
        self, rules: Sequence[Rule], treatments: Sequence[Treatment], unmatched: Treatment, *, absent: bool = False
    ) -> None:
        self.rules, self.absent = rules, absent
        self._treatments = (*treatments, unmatched)  # rule -1 is the last
        self._plans: dict[tuple[str, State, Decision], Plan] = {}
        self._starts: dict[str, tuple[State, Decision, tuple[int, ...]]] = {}

    def treatment(self, decision: Decision) -> Treatment:
        """What a decision does."""
        return self._treatments[decision.rule]

    def plan(self, name: str, state: State, decision: Decision) -> Plan:
        """The plan for a structure at one kind of place."""
        key = (name, state, decision)
        found = self._plans.get(key)
        if found is None:
            shape = structure(name)
            if shape is None:
                raise Unprocessable("A resource names a type that FHIR R4 does not have.")
            found = self._plans[key] = Plan(self, shape, state, decision)
        return found

    def start(self, kind: str) -> tuple[State, Decision, tuple[int, ...]]:
        """For a resource type: the rules that set out, the one about the resource itself, those with conditions."""
        if kind not in self._starts:
            mine = [i for i, rule in enumerate(self.rules) if rule.applies_to(kind)]
            items = frozenset((i, i, 0) for i in mine if self.rules[i].steps)
            whole = min([Decision(i, i) for i in mine if self.rules[i].steps == ()], default=Decision())
            asked = tuple(i for i in mine if self.rules[i].steps is None)
            self._starts[kind] = items, whole, asked
        return self._starts[kind]

    def steps(self, rule: int) -> tuple[Step, ...]:
        """The steps of a rule that set out."""
        return self.rules[rule].steps or ()

    def reach(self, state: State, name: str, kind: str) -> Reached:
        """What `state` says about the child called `name` of type `kind`."""
        own, going = Decision(), set()
        for item in state:
            rank, rule, position = item
            step = self.steps(rule)[position]
            if step.verb in {BY_TYPE, BY_NAME}:
                going.add(item)
            if step.word == (plain_kind(kind) if step.verb == BY_TYPE else name):
                after = self._after(rule, position + 1, kind)
                if after == len(self.steps(rule)):
                    own = min(own, Decision(rank, rule))
                elif after:
                    going.add((rank, rule, after))
        return Reached(own, frozenset(going))

    def _after(self, rule: int, position: int, kind: str) -> int:
        """The position after filters by type that hold; 0 when one does not."""
        steps = self.steps(rule)
        while position < len(steps) and steps[position].verb == AS:
            if steps[position].word not in {kind, plain_kind(kind)}:
                return 0
            position += 1
        return position

    def outermost(self, value: Json, run: Run) -> Json:
        """A resource that stands in no other. Raises Unprocessable for what is none, or is nested too deeply."""
        try:
            out = self.resource(value, run, Reached(Decision(), frozenset()))
        except RecursionError:
            raise Unprocessable("This resource is nested too deeply to be read.") from None
        if out is None:
            raise Unprocessable("This is not a FHIR R4 resource: it names no resourceType of R4.")
        return out

    def resource(self, value: Json, run: Run, outer: Reached, *, contained: bool = False) -> Json | None:
        """A resource, whole. `outer` is what the rules of the resource around it say."""
        kind = resource_kind(value)
        if not kind:
            redacted(run)
            return None
        items, whole, asked = self.start(kind)
        carried = {(rank - OUTER, rule, at) for rank, rule, at in outer.state if self._walks_in(rule, at)}
        own = Decision(outer.own.rank - OUTER, outer.own.rule) if outer.own.rule >= 0 else whole
        plan = self.plan(kind, items | carried, own)
        marks, run.marks, kinds, around = run.marks, 0, run.kinds, run.resource
        run.depth, run.kinds, run.resource = run.depth + 1, (*kinds, kind), value
        subject, run.subject = run.subject, run.whose(value) if run.whose and not contained else run.subject
        if asked:
            self._select(value, run, asked)
        if run.depth == 1:
            run.root_ids = plan.ids(value, run)
        out = plan.run(value, run) or {}
        if not contained:
            add_labels(out, run.marks)
        run.depth, run.kinds, run.resource, run.subject = run.depth - 1, kinds, around, subject
        run.marks |= marks
        return out

    def _walks_in(self, rule: int, position: int) -> bool:
        return position > 0 and self.steps(rule)[position].verb not in {BY_TYPE, BY_NAME}

    def _select(self, value: Json, run: Run, asked: tuple[int, ...]) -> None:
        """Evaluate the rules with conditions; the first that selects a node keeps it."""
        root = root_of(value)
        scope = Scope([root], root)
        for rule in asked:
            for node in self.rules[rule].expression(scope):
                if node.owner is not None:
                    found = run.selected.setdefault(id(node.owner), {})
                    found.setdefault((node.member, node.at), (run.depth, rule))


class Plan:
    """How the objects of one structure are treated at one kind of place."""

    def __init__(self, compiler: Compiler, shape: Structure, state: State, decision: Decision) -> None:
        self.compiler, self.shape, self.state, self.decision = compiler, shape, state, decision
        self.handlers = make.Handlers(self._handler)
        self._reached: dict[str, Reached] = {}

    def run(self, value: Any, run: Run) -> Json | None:
        """A new object with what is left; empty when nothing is. None for what is no object."""
        if type(value) is not dict:
            redacted(run)
            return None
        if run.selected and id(value) in run.selected:
            return self._selected(value, run.selected[id(value)], run)
        out: Json = {}
        handlers = self.handlers
        for key, item in value.items():
            handlers[key](item, value, out, run)
        if out and self.compiler.absent:
            for key in self.required:
                if key in value and key not in out and f"_{key}" not in out:
                    self._fill(key, out)
        return out

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The members that R4 requires and that may be stated as absent."""
        asked = ASKED_FOR.get(self.shape.name, frozenset())
        needed = [element for element in self.shape.elements if element.min or element.name in asked]
        return tuple(key for element in needed for key, kind in element.members() if can_be_absent(element, kind))

    def _fill(self, key: str, out: Json) -> None:
        element, kind = self.shape.owner[key]
        stated = absent(kind)
        out[f"_{key}" if is_primitive(kind) else key] = [stated] if element.is_list else stated

    def reached(self, key: str) -> Reached:
        """What the rules on their way say about a member that R4 knows."""
        if key not in self._reached:
            element, kind = self.shape.owner[key]
            self._reached[key] = self.compiler.reach(self.state, element.name, kind)
        return self._reached[key]

    def is_settled(self, key: str) -> bool:
        """True when an earlier rule than this plan's own decides about a member."""
        return key in self.shape.owner and self.reached(key).own.rank < self.decision.rank

    @cached_property
    def settled(self) -> tuple[str, ...]:
        """The members about which earlier rules decide."""
        return tuple(key for key in self.shape.owner if self.is_settled(key))

    def ids(self, value: Json, run: Run) -> tuple[str, str, int]:
        """The resource's id before and after its rule, and the rank of that rule."""
        before = value.get("id")
        if type(before) is not str:
            return "", "", 0
        marks = run.marks
        decision = min(self.decision, self.reached("id").own)
        after = self.inner("id", decision)(before, run)
        run.marks = marks
        return before, after or "", decision.rank

    def inner(self, key: str, decision: Decision) -> Inner:
        """What happens to one value of a member under a decision."""
        element, kind = self.shape.owner[key]
        treatment, reached = self.compiler.treatment(decision), self.reached(key)
        place = Place(kind, element.name, self.shape.name, element)
        own = decision.rule >= 0 and decision.rank < self.decision.rank
        if kind == "Resource":
            outer = reached if decision == reached.own else Reached(decision if own else Decision(), reached.state)
            contained = element.name == "contained"
            return lambda value, run: self.compiler.resource(value, run, outer, contained=contained)
        if is_primitive(kind) and key[0] != "_":
            return treatment.leaf(place)
        plan = self.compiler.plan("Element" if key[0] == "_" else kind, reached.state, decision)
        if isinstance(treatment, Substitution):
            replacement = treatment.replacement if own and key[0] != "_" else {}
            return lambda value, run: substituted(plan, value, replacement, run)
        change = treatment.node(Place("Element", element.name, kind, element) if key[0] == "_" else place)
        return plan.run if change is None else _changing(plan, change)

    def _handler(self, key: str) -> Handler:
        if key == "resourceType" and self.shape.is_resource:
            return make.kept
        if key not in self.shape.owner:
            return make.unknown
        inner = self.inner(key, min(self.decision, self.reached(key).own))
        element, kind = self.shape.owner[key]
        if key[0] == "_":
            return self._beside(key, element, inner)
        if element.is_list:
            return self._many_leaves(key, inner) if is_primitive(kind) else make.many(key, inner)
        return make.one_leaf(key, inner) if is_primitive(kind) else make.one(key, inner)

    def _many_leaves(self, key: str, inner: Leaf) -> Handler:
        """A list of primitives; with `_name` beside it, both are gone through together."""
        beside = f"_{key}"

        def handle(value: Any, owner: Json, out: Json, run: Run) -> None:
            if beside in owner:
                about = self.inner(beside, min(self.decision, self.reached(key).own))
                make.aligned(key, (value, owner[beside]), [(inner, about)], out, run)
                return
            items = value if type(value) is list else [value]
            found = [new for item in items if (new := inner(item, run)) is not None]
            if found:
                out[key] = found

        return handle

    def _beside(self, key: str, element: Element, inner: Inner) -> Handler:
        if not element.is_list:
            return make.one(key, inner)

        def handle(value: Any, owner: Json, out: Json, run: Run) -> None:
            if key[1:] not in owner:  # else the handler of the values has seen to it
                make.aligned(key[1:], ([], value), [(make.gone, inner)], out, run)

        return handle

    def _selected(self, value: Json, spots: Selected, run: Run) -> Json:
        """An object in which conditions selected something: member by member, item by item."""
        out: Json = {}
        touched = {member for member, _ in spots}
        for key, item in value.items():
            if key.removeprefix("_") not in touched or key not in self.shape.owner:
                self.handlers[key](item, value, out, run)
            elif key[0] != "_" or key[1:] not in value:
                self._select_in(key.removeprefix("_"), value, spots, out, run)
        return out

    def _select_in(self, key: str, value: Json, spots: Selected, out: Json, run: Run) -> None:
        element, kind = self.shape.owner[key]
        values, besides = value.get(key), value.get(f"_{key}")
        size = max(len(each) if type(each) is list else 1 for each in (values, besides))
        indices = range(size) if element.is_list else (-1,)
        decisions = [self._decided(key, spots.get((key, index)), run) for index in indices]
        if is_primitive(kind):
            beside = f"_{key}" if f"_{key}" in self.shape.owner else key
            pairs = [(self.inner(key, each), self.inner(beside, each)) for each in decisions]
            (make.aligned if element.is_list else make.paired)(key, (values, besides), pairs, out, run)
            return
        items = values if type(values) is list else [values]
        found = [self.inner(key, each)(item, run) for item, each in zip(items, decisions, strict=False)]
        kept = [each for each in found if each]
        if kept:
            out[key] = kept if element.is_list else kept[0]

    def _decided(self, key: str, selected: tuple[int, int] | None, run: Run) -> Decision:
        best = min(self.decision, self.reached(key).own)
        if selected is None:
            return best
        depth, rule = selected
        return min(best, Decision(rule if depth == run.depth else rule - OUTER, rule))


def _changing(plan: Plan, change: NodeChange) -> Inner:
    """A change of a whole object, after which come the members that earlier rules have decided about."""

    def changed(value: Any, run: Run) -> Json | None:
        if type(value) is dict:
            return change(value, run, plan.run)
        redacted(run)
        return None

    def overridden(value: Any, run: Run) -> Json | None:
        out = changed(value, run) or {}
        for key in plan.settled:
            if key in value:
                out.pop(key, None)
                plan.handlers[key](value[key], value, out, run)
        return out

    return overridden if plan.settled else changed
