"""Mutation testing of what decides about patients' data: does some test fail when a line says something else?

    python scripts/mutants.py [--only access.decide,...] [--sample N] [--seed S]

Every function of a module is changed in one place at a time (a comparison turned round, a raise left out, ...), in the
memory of a process of its own, which then runs the tests of that module until one fails. Tests are collected once; a
mutant costs a fork and the tests up to the failing one. Survivors are printed; those that cannot be told from the right
program stand in `scripts/mutants.txt`, each with its reason, and count as neither killed nor alive.

What is outside of functions (tables, defaults, decorators) is not changed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import json
import os
import re
import signal
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_suffix(".txt")
_CONSENT = ("tests/consent",)
_DOOR = ("tests/records/test_consents.py",)
SUITES: dict[str, tuple[str, ...]] = {
    "access.decide": ("tests/access", "tests/records/test_granular.py", "tests/records/test_door.py"),
    "access.grant": ("tests/access", "tests/records/test_granular.py", *_DOOR),
    "access.consent.binding": (*_CONSENT, *_DOOR),
    "access.consent.book": _CONSENT,
    "access.consent.codes": _CONSENT,
    "access.consent.facts": _CONSENT,
    "access.consent.nodes": _CONSENT,
    "access.consent.policy": _CONSENT,
    "access.consent.reading": _CONSENT,
    "access.consent.refusing": _CONSENT,
    "access.consent.residual": _CONSENT,
    "access.consent.ruling": _CONSENT,
    "records.consents": _DOOR,
    "records.closure": ("tests/records/test_closure.py", *_DOOR),
    "records.holders": _DOOR,
    "records.standing": _DOOR,
    "records.narrowing": ("tests/records/test_columns.py", "tests/records/test_chains.py"),
    "records.minimise": ("tests/records/test_masks.py",),
}
_MISPLACED = 77
_FURTHER = re.compile(r"postgres|test_properties.*\[[123]\]")
_LEFT_OUT = {"test_mutants.py", "test_over_https.py"}
_SILENT = {"annotation", "returns"}
_AT_IMPORT = {"_parsed"}
"""Functions that have done their work before a mutant is made."""
_TURNED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}
_SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Add: ast.Sub,
    ast.LShift: ast.RShift,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
_NAMES = {"any": "all", "all": "any", "min": "max", "max": "min"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A function with one change: where it is, what it says now, and its code."""

    module: str
    line: int
    says: str
    names: tuple[str, ...]
    code: types.CodeType

    @property
    def name(self) -> str:
        """Names it in the list of equivalents: the line's number may move."""
        return f"{self.module} {'.'.join(self.names)}: {self.says}"


def mutants_of(module: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    path = ROOT / "src" / "medlock" / Path(*module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text())
    for names, function in _functions(tree, ()):
        if names[-1] in _AT_IMPORT:
            continue
        for change in _changes(function):
            before, after = change.texts()
            with change:
                changed = compile(tree, str(path), "exec", dont_inherit=True)
            yield Mutant(module, change.line, f"{before} => {after}", names, _code(changed, names))


def _functions(node: ast.AST, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ast.AST]]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (*above, each.name), each
        elif isinstance(each, ast.ClassDef):
            yield from _functions(each, (*above, each.name))


def _code(module: types.CodeType, names: Sequence[str]) -> types.CodeType:
    """The code of a function inside that of its module."""
    found = module
    for name in names:
        found = next(each for each in found.co_consts if isinstance(each, types.CodeType) and each.co_name == name)
    return found


class Change:
    """One node put in the place of another, for the length of a block."""

    def __init__(self, parent: ast.AST, field: str, at: int | None, fresh: ast.AST) -> None:
        self._parent, self._field, self._at, self._fresh = parent, field, at, fresh
        self._old: ast.AST = self._get()
        self.line = getattr(self._old, "lineno", getattr(parent, "lineno", 0))

    def _get(self) -> Any:
        value = getattr(self._parent, self._field)
        return value if self._at is None else value[self._at]

    def _set(self, node: ast.AST) -> None:
        if self._at is None:
            setattr(self._parent, self._field, node)
        else:
            getattr(self._parent, self._field)[self._at] = node

    def texts(self) -> tuple[str, str]:
        """What stood there, and what stands there now, in one line each."""
        return tuple(" ".join(ast.unparse(each).split())[:160] for each in (self._old, self._fresh))  # type: ignore[return-value]

    def __enter__(self) -> None:
        ast.copy_location(self._fresh, self._old)
        ast.fix_missing_locations(self._fresh)
        self._set(self._fresh)

    def __exit__(self, *_: object) -> None:
        self._set(self._old)


def _changes(function: ast.AST) -> Iterator[Change]:
    """Every change inside a function's body; its docstring and what it tells people are left alone."""
    waiting: list[ast.AST] = [function]
    while waiting:
        node = waiting.pop()
        for field, value in ast.iter_fields(node):
            if (node is function and field != "body") or field in _SILENT or isinstance(value, ast.arguments):
                continue
            for at, each in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(each, ast.AST) and not _spoken(each):
                    place = at if isinstance(value, list) else None
                    yield from (Change(node, field, place, fresh) for fresh in _instead(each))
                    if not isinstance(each, ast.Raise | ast.JoinedStr):
                        waiting.append(each)


def _spoken(node: ast.AST) -> bool:
    """Whether it is a text for people, or an annotation."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _instead(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in place of a node."""
    for kind, make in _MAKERS.items():
        if isinstance(node, kind):
            yield from make(node)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _compares(node: ast.Compare) -> Iterator[ast.AST]:
    for at, each in enumerate(node.ops):
        for turned in _TURNED[type(each)]:
            yield _with(node, ops=[*node.ops[:at], turned(), *node.ops[at + 1 :]])


def _bools(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _binaries(node: ast.BinOp) -> Iterator[ast.AST]:
    if type(node.op) in _SWAPPED:
        yield _with(node, op=_SWAPPED[type(node.op)]())
    elif isinstance(node.op, ast.Sub):
        yield node.left


def _unaries(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not | ast.Invert):
        yield node.operand


def _turned(node: ast.If | ast.IfExp | ast.While) -> Iterator[ast.AST]:
    if not isinstance(node.test, ast.Compare):  # which is turned round itself
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _filters(node: ast.comprehension) -> Iterator[ast.AST]:
    for at in range(len(node.ifs)):
        yield _with(node, ifs=[*node.ifs[:at], *node.ifs[at + 1 :]])


def _returns(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield _with(node, value=ast.Constant(None))


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node.value, str) and node.value and " " not in node.value:
        yield ast.Constant(f"{node.value}?")


def _left_out(_node: ast.AST) -> Iterator[ast.AST]:
    yield ast.Pass()


def _expressions(node: ast.Expr) -> Iterator[ast.AST]:
    if not isinstance(node.value, ast.Yield | ast.YieldFrom):
        yield ast.Pass()


def _names(node: ast.Name) -> Iterator[ast.AST]:
    if node.id in _NAMES:
        yield ast.Name(_NAMES[node.id], ast.Load())


_MAKERS: dict[type[ast.AST] | tuple[type[ast.AST], ...], Callable[[Any], Iterator[ast.AST]]] = {
    ast.Compare: _compares,
    ast.BoolOp: _bools,
    ast.BinOp: _binaries,
    ast.UnaryOp: _unaries,
    (ast.If, ast.IfExp, ast.While): _turned,
    ast.comprehension: _filters,
    ast.Return: _returns,
    ast.Constant: _constants,
    (ast.Raise, ast.AugAssign, ast.Continue, ast.Break): _left_out,
    ast.Expr: _expressions,
    ast.Name: _names,
}


def put_in_place(mutant: Mutant) -> None:
    """Give the living function the mutant's code, whoever has imported it."""
    found: Any = importlib.import_module(f"medlock.{mutant.module}")
    for name in mutant.names:
        found = found.__dict__[name]
    while not isinstance(found, types.FunctionType):
        inner = ("__wrapped__", "__func__", "fget", "func")
        found = next(getattr(found, name) for name in inner if hasattr(found, name))
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    found.__code__ = mutant.code


class Suite:
    """Runs the collected tests, once for each mutant, each time in a process of its own."""

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self._mutants = mutants
        self._failed = False
        self._took: dict[str, float] = {}
        self.alive: list[Mutant] = []
        self.seconds = 0.0
        self.whole = True

    @staticmethod
    def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
        """One back end, and a part of what is random, are enough to notice."""
        items[:] = [each for each in items if not _FURTHER.search(each.nodeid)]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own loop."""
        began = time.monotonic()
        with tempfile.NamedTemporaryFile() as times:
            if self._fork(lambda: self._run(session.items, times.name), 600) != 0:
                self.whole = False
                return True
            took = json.loads(times.read())
        items = sorted(session.items, key=lambda item: took[item.nodeid])
        limit = 20 + 5 * (time.monotonic() - began)
        for number, mutant in enumerate(self._mutants, 1):
            code = self._fork(lambda mutant=mutant: self._mutated(mutant, items), limit)  # type: ignore[misc]
            if code == _MISPLACED:
                sys.exit(f"{mutant.name}: there is no such function to change")
            if code == 0:
                self.alive.append(mutant)
            if number % 50 == 0:
                print(f"  {number} of {len(self._mutants)}, {len(self.alive)} alive", file=sys.stderr, flush=True)
        self.seconds = time.monotonic() - began
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed, and how long each took."""
        self._failed = self._failed or report.failed
        self._took[report.nodeid] = self._took.get(report.nodeid, 0.0) + report.duration

    def _mutated(self, mutant: Mutant, items: Sequence[pytest.Item]) -> None:
        try:
            put_in_place(mutant)
        except (AttributeError, KeyError, StopIteration, ValueError):
            os._exit(_MISPLACED)
        self._run(items)

    def _run(self, items: Sequence[pytest.Item], times: str = "") -> None:
        """The tests up to the first that fails."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                os._exit(1)
        if times:
            Path(times).write_text(json.dumps(self._took))

    @staticmethod
    def _fork(act: Callable[[], None], limit: float) -> int:
        """The exit code of a process that does this; 1 when it took too long or did not get to its end."""
        child = os.fork()
        if child == 0:
            quiet = os.open(os.devnull, os.O_WRONLY)
            for number in (1, 2):
                os.dup2(quiet, number)
            code = 1
            with suppress(BaseException):
                act()
                code = 0
            os._exit(code)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return 1


def tests_of(module: str) -> list[str]:
    """The files of a module's tests."""
    found: list[Path] = []
    for name in SUITES[module]:
        path = ROOT / name
        found += sorted(path.glob("test_*.py")) if path.is_dir() else [path]
    return [str(each) for each in found if each.name not in _LEFT_OUT]


def known_equivalent() -> dict[str, str]:
    """Mutants that are no other program, and why: two lines each in the file beside this one."""
    lines = [line for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("#")]
    return dict(zip(lines[::2], (line.strip() for line in lines[1::2]), strict=True))


def tried(module: str, sample: int, seed: int) -> dict[str, Any]:
    """What became of the mutants of one module."""
    every = list(mutants_of(module))
    same = known_equivalent()
    chosen = [each for each in every if each.name not in same]
    if sample and sample < len(chosen):
        chosen = Random(seed).sample(chosen, sample)  # noqa: S311 - a choice, no secret
    suite = Suite(chosen)
    with tempfile.TemporaryDirectory(prefix="medlock-mutants-") as folder:
        flags = ["-q", "-n0", f"--basetemp={folder}/tests"]
        pytest.main([*flags, *tests_of(module)], plugins=[suite])
    if not suite.whole:
        sys.exit(f"{module}: its tests fail without any mutant")
    return {
        "module": module,
        "mutants": len(chosen),
        "killed": len(chosen) - len(suite.alive),
        "equivalent": len([each for each in every if each.name in same]),
        "seconds": round(suite.seconds, 1),
        "alive": [f"{each.line}: {each.name}" for each in suite.alive],
    }


def main() -> None:
    """Try all modules that are wanted, each in a process of its own, and say how many mutants were killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SUITES), help="modules below medlock, with commas")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each module; all unless told")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    found = [_apart(module, given.sample, given.seed) for module in given.only.split(",")]
    killed, made = sum(each["killed"] for each in found), sum(each["mutants"] for each in found)
    print(json.dumps({"killed": killed, "mutants": made, "share": round(killed / made, 4), "modules": found}, indent=1))


def _apart(module: str, sample: int, seed: int) -> dict[str, Any]:
    """One module in a fresh process: what tests of another one remember must not answer for it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what pytest says while it collects
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(tried(module, sample, seed)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    if os.waitpid(child, 0)[1] or not text:
        sys.exit(f"{module}: could not be tried")
    result: dict[str, Any] = json.loads(text)
    print(f"{module}: {result['killed']} of {result['mutants']} in {result['seconds']} s", file=sys.stderr, flush=True)
    for each in result["alive"]:
        print(f"  alive {each}", file=sys.stderr, flush=True)
    return result


if __name__ == "__main__":
    main()
