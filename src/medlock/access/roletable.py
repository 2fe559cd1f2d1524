"""The table of roles as a page shows it: docs/access.md is written from this by scripts/access_page.py.

Nothing is said here that does not follow from `access.roles`; a test compares the page with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from medlock.access.groups import AUDIT, DIRECTORY, KNOWLEDGE, LOOSE, RECORD
from medlock.access.principal import Role
from medlock.access.roles import KINDS, TABLE, TREATS, role_rights, studied_types
from medlock.access.scopes import letters

COLUMNS: Mapping[str, frozenset[str]] = {
    "record": RECORD,
    "audit": AUDIT,
    "directory": DIRECTORY,
    "knowledge": KNOWLEDGE,
    "loose": LOOSE,
}


def table() -> list[str]:
    """The lines of the table, head and rule first."""
    head = ["role", *COLUMNS, "reaches", "scopes that count"]
    rows = [_row(role) for role in Role]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *map(_line, rows)]


def _line(cells: Iterable[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _row(role: Role) -> list[str]:
    purpose = next((row.purpose for row in TABLE if row.role is role and row.purpose), "")
    name = f"{role} (purpose {purpose})" if purpose else role.value
    cells = [_cell(role, types, purpose) for types in COLUMNS.values()]
    return [name, *cells, reach(role), " ".join(KINDS[role])]


def _cell(role: Role, types: frozenset[str], purpose: str) -> str:
    """What a role may do on the types of a column: what it may on most of them, then what on others."""
    rights = {name: role_rights(role, name, purpose) for name in sorted(types)}
    usual, many = Counter(rights.values()).most_common(1)[0]
    if 2 * many <= len(rights):
        usual = 0
    parts = [letters(usual)] if usual else []
    for bits in dict.fromkeys(each for each in sorted(rights.values()) if each != usual):
        named = ", ".join(name for name, each in rights.items() if each == bits)
        parts.append(f"{letters(bits) or 'nothing'} on {named}")
    if not parts and types <= studied_types(role):
        return "de-identified"
    return "; ".join(parts)


def reach(role: Role) -> str:
    """Whose records a role reaches, in words."""
    rows = [row for row in TABLE if row.role is role]
    if role is Role.PATIENT:
        return "the own record; of whom they stand in for, that one"
    if role is Role.LINK:
        return "the record that was shared"
    if role in TREATS:
        return "whom they treat, where the site asks; else everybody"
    if not any(row.types & (RECORD | AUDIT) and not row.deidentified for row in rows):
        return "nobody"
    return "everybody"
