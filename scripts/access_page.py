"""Write the table of docs/access.md anew from the program: run it after changing access.roles.

.venv/bin/python scripts/access_page.py
"""

from __future__ import annotations

from pathlib import Path

from medlock.access.roletable import table

PAGE = Path(__file__).parents[1] / "docs" / "access.md"

if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition("| role |")
    after = rest[rest.index("\n\n") :]
    PAGE.write_text(before + "\n".join(table()) + after)
