"""What a redaction did, for people: the text with what goes struck out beside what comes, and a count by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from rich.text import Text

from medlock.deid.text.spans import Span

_GOES, _COMES = "red strike", "bold green"
_AROUND = 1  # lines shown before and after a line that changes


def diff(text: str, spans: Iterable[Span], replace: Callable[[Span], str]) -> Text:
    """The lines that change, each with a line around, what goes and what comes marked by colour and by [-…-]{+…+}."""
    listed = list(spans)
    changed = {
        line for span in listed for line in range(text.count("\n", 0, span.start), text.count("\n", 0, span.end) + 1)
    }
    wanted = {line + step for line in changed for step in range(-_AROUND, _AROUND + 1)}
    out, at = Text(), 0
    for span in listed:
        out.append(text[at : span.start])
        out.append(f"[-{span.text}-]", _GOES)
        out.append(f"{{+{replace(span)}+}}", _COMES)
        at = span.end
    out.append(text[at:])
    lines = out.split("\n", allow_blank=True)
    return Text("\n").join(line for number, line in enumerate(lines) if number in wanted)


def counts(spans: Iterable[Span]) -> str:
    """Kinds by how often, as in "3 NAME, 2 DATE"."""
    listed = Counter(str(span.kind) for span in spans)
    return (
        ", ".join(f"{count} {kind}" for kind, count in sorted(listed.items(), key=lambda each: (-each[1], each[0])))
        or "nothing"
    )
