"""QR codes as inline SVG, drawn by segno (ISO/IEC 18004). Attributes only: no style, so the pages' policy holds."""

from __future__ import annotations

import segno
from markupsafe import Markup


def drawn(text: str) -> Markup:
    """The picture. It is decoration to who cannot see it: the text stands beside it."""
    code = segno.make(text, error="m", micro=False)
    side = code.symbol_size(border=2)[0]
    path = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(code.matrix_iter(border=2)) for x, dark in enumerate(row) if dark
    )
    return Markup(
        '<svg viewBox="0 0 {0} {0}" width="240" height="240" aria-hidden="true" shape-rendering="crispEdges">'
        '<path d="{1}" fill="#000"/></svg>'
    ).format(side, path)
