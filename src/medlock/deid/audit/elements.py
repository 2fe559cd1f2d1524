"""Parts of a page: HTML as text, every word escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

STYLE: Final = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;background:#f4f6f8;color:#1f2933;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:980px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 6px}
h2{font-size:1.25rem;margin:0 0 10px}h3{font-size:1rem;margin:18px 0 6px}
section,header{background:#fff;border:1px solid #d5dbe1;border-radius:10px;padding:22px 24px;margin:0 0 18px}
p{margin:0 0 10px;max-width:72ch}.soft{color:#52606d}
.verdict{display:inline-block;background:#e3f3f1;color:#07504f;border-radius:999px;padding:3px 14px;font-weight:600}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:16px 0 0;padding:0}
.figures div{border-left:4px solid #0b6e6e;padding:2px 0 2px 12px}.figures dt{color:#52606d;font-size:.88rem}
.figures dd{margin:0;font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-size:.92rem;margin:8px 0 4px}
caption{text-align:left;color:#52606d;padding:0 0 6px}
th,td{text-align:left;padding:6px 10px;border-bottom:1px solid #e4e8ec;vertical-align:top}
thead th{border-bottom:2px solid #9aa5b1}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tr.bad td,tr.bad th{color:#b42318;font-weight:600}
.wide{overflow-x:auto}tbody td:not(.n){min-width:10rem}
code{font:.86em ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin:8px 0;
font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2933}
@media print{body{background:#fff}section,header{break-inside:avoid;border:0;padding:8px 0}}
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def section(key: str, heading: str, *parts: str) -> str:
    """A part of the page under a heading; the parts are HTML."""
    return f'<section aria-labelledby="{key}"><h2 id="{key}">{escape(heading)}</h2>{"".join(parts)}</section>'


def paragraph(words: str, kind: str = "") -> str:
    """Words."""
    return f'<p class="{kind}">{escape(words)}</p>' if kind else f"<p>{escape(words)}</p>"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], bad: Sequence[int] = ()) -> str:
    """A table of words; columns but the first hold numbers, unless their name begins with a capital."""
    sides = ["" if at == 0 or name[:1].isupper() else ' class="n"' for at, name in enumerate(head)]
    titles = "".join(f'<th scope="col"{side}>{escape(name)}</th>' for name, side in zip(head, sides, strict=True))
    body = "".join(_row(row, sides, bad=at in bad) for at, row in enumerate(rows))
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{titles}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(cells: Sequence[str], sides: Sequence[str], *, bad: bool) -> str:
    others = zip(cells[1:], sides[1:], strict=True)
    found = "".join(f"<td{side}>{escape(cell)}</td>" for cell, side in others)
    return f'<tr{" class=bad" if bad else ""}><th scope="row">{escape(cells[0])}</th>{found}</tr>'


def percent(value: float | None) -> str:
    """A share."""
    return "-" if value is None else f"{100 * value:.2f} %"


def interval(risk: Mapping[str, float]) -> str:
    """The ends of an interval."""
    return f"{100 * risk['low']:.2f} to {100 * risk['high']:.2f} %"
