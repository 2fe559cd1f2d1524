"""Write the table of docs/routes.md anew from the program: run it after declaring a route.

.venv/bin/python scripts/routes_page.py
"""

from __future__ import annotations

from pathlib import Path

from medlock.settings import Limits
from medlock.web.inventory import rows
from medlock.web.route_commands import table

PAGE = Path(__file__).parents[1] / "docs" / "routes.md"

if __name__ == "__main__":
    text = PAGE.read_text()
    head = text[: text.index("| address |")]
    PAGE.write_text(head + "\n".join(table(rows(Limits()))) + "\n")
