"""substitute: a node is replaced by a predefined value, except for what earlier rules have decided about.

Parts that an earlier rule reached stay as that rule leaves them, with what is needed to hold them; all others become
the parts of the replacement, lists item by item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from medlock.deid.fhir.labels import Mark
from medlock.deid.fhir.run import Json, Leaf, NodeChange, Place, Run
from medlock.errors import Unprocessable
from medlock.fhir.structures import is_primitive

if TYPE_CHECKING:  # walk holds plans, which hold substitutions: only the name is needed here
    from medlock.deid.fhir.walk import Plan


class Substitution:
    """The treatment; `walk` asks it for the replacement, since it needs the plan of the node."""

    def __init__(self, replace_with: Any) -> None:
        text = replace_with if isinstance(replace_with, str) else None
        self._plain = None if isinstance(replace_with, dict) else replace_with
        self._object = replace_with if isinstance(replace_with, dict) else _object(text)

    @property
    def replacement(self) -> Json:
        """The object to put in place. Raises Unprocessable when the rule has none."""
        if self._object is None:
            raise Unprocessable("A substitute rule reaches an object, but its replaceWith is a plain value.")
        return self._object

    def value(self, run: Run) -> Any:
        """The plain value to put in place. Raises Unprocessable when the rule has none."""
        run.marks |= Mark.SUBSTITUTED
        if self._object is not None and self._plain is None:
            raise Unprocessable("A substitute rule reaches a plain value, but its replaceWith is an object.")
        return self._plain

    def leaf(self, _place: Place) -> Leaf:
        """The plain value."""
        return lambda value, run: None if value is None else self.value(run)

    def node(self, _place: Place) -> NodeChange | None:
        """Nothing by itself: see `substituted`."""
        return None


def _object(text: str | None) -> Json | None:
    """An object written as JSON text, which the rule format allows; null stands for an empty one."""
    if text is None:
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def substituted(plan: Plan, value: Any, replacement: Json, run: Run) -> Json:
    """`replacement` with the settled parts of `value` in it."""
    run.marks |= Mark.SUBSTITUTED
    return _merged(plan, value if type(value) is dict else {}, replacement, run)


def _merged(plan: Plan, value: Json, replacement: Json, run: Run) -> Json:
    out: Json = {}
    for key in dict.fromkeys((*value, *replacement)):
        if key not in plan.shape.owner:
            continue
        if plan.is_settled(key) and key in value:
            plan.handlers[key](value[key], value, out, run)
            _add_further(key, value[key], replacement.get(key), out)
            continue
        new = _member(plan, key, value.get(key), replacement.get(key), run)
        if new not in (None, {}, []):
            out[key] = new
    return out


def _add_further(key: str, old: Any, new: Any, out: Json) -> None:
    """Items of the replacement beyond the number of settled ones."""
    if type(old) is list and type(new) is list and len(new) > len(old):
        out[key] = [*out.get(key, []), *new[len(old) :]]


def _member(plan: Plan, key: str, old: Any, new: Any, run: Run) -> Any:
    _element, kind = plan.shape.owner[key]
    if is_primitive(kind) and key[0] != "_":
        return new
    reached = plan.reached(key)
    inner = plan.compiler.plan("Element" if key[0] == "_" else kind, reached.state, plan.decision)
    if type(old) is not list:
        return _merged(inner, old or {}, new or {}, run) if type(new) is not list else new
    news = new if type(new) is list else []
    pairs = [(item, news[i] if i < len(news) else {}) for i, item in enumerate(old)]
    merged = [_merged(inner, item or {}, by or {}, run) for item, by in pairs]
    return [each for each in merged if each] + news[len(old) :]
