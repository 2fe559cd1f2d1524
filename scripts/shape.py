"""The shape of src/medlock against its limits: long functions, long files, import cycles, broad excepts.

Reads the syntax tree only. Lengths leave docstrings out. Prints what is over a limit and exits 1, or one line.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src"
# broad excepts: one for each boundary (command, request, disk thread, thread of the key broker)
FUNCTION_P90, FUNCTION_P99, FILE_MAX, BROAD_MAX = 24, 50, 400, 4
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """One module: its dotted name, syntax tree and number of lines."""

    name: str
    path: Path
    tree: ast.Module
    lines: int


def sources() -> list[Source]:
    """Every module of the package."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Source(name, path, ast.parse(text), text.count("\n")))
    return found


def functions(source: Source) -> Iterator[tuple[int, str]]:
    """Length and name of each function."""
    for node in ast.walk(source.tree):
        if isinstance(node, FUNCTIONS):
            first = node.body[0]
            doc = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) else 0
            yield (node.end_lineno or 0) - node.lineno + 1 - doc, f"{source.path.relative_to(ROOT)}:{node.name}"


def broad(source: Source) -> Iterator[str]:
    """Places that catch everything."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and (
            node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
        ):
            yield f"{source.path.relative_to(ROOT)}:{node.lineno}"


def edges(source: Source, known: set[str]) -> set[str]:
    """Modules of ours that this one imports when it is imported."""
    found: set[str] = set()
    for node in source.tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= inner or ({node.module} & known)
    return found - {source.name}


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of some import cycle, or nothing: take away leaves until only cycles are left."""
    left = {name: set(targets) for name, targets in graph.items()}
    while leaves := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in leaves:
            del left[name]
    return sorted(left)


def at(values: list[int], share: float) -> int:
    """The value below which this share of the values lies."""
    return sorted(values)[round(share * (len(values) - 1))]


def main() -> int:
    """Measure, say what is over its limit; 1 when anything is."""
    every = sources()
    lengths = [each for source in every for each in functions(source)]
    sizes = [length for length, _ in lengths]
    faults = [
        f"file over {FILE_MAX} lines: {source.name} ({source.lines})" for source in every if source.lines > FILE_MAX
    ]
    for share, limit in ((0.90, FUNCTION_P90), (0.99, FUNCTION_P99)):
        if at(sizes, share) > limit:
            longest = ", ".join(f"{name} ({length})" for length, name in sorted(lengths, reverse=True)[:5])
            faults.append(f"functions: p{share:.0%} is {at(sizes, share)}, the limit {limit}; longest: {longest}")
    caught = [place for source in every for place in broad(source)]
    if len(caught) > BROAD_MAX:
        faults.append(f"more than {BROAD_MAX} broad excepts: {', '.join(caught)}")
    known = {source.name for source in every}
    if looped := cycle({source.name: edges(source, known) for source in every}):
        faults.append(f"import cycle among: {', '.join(looped)}")
    print(
        "\n".join(faults)
        or f"shape: {len(every)} files, longest {max(s.lines for s in every)}; {len(sizes)} functions, "
        f"p90 {at(sizes, 0.9)}, p99 {at(sizes, 0.99)}, longest {max(sizes)}; {len(caught)} broad excepts, no cycle"
    )
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
