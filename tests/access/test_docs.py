"""docs/access.md shows the table that decides: written from it, and read back here against each single right."""

import re
from pathlib import Path

import pytest

from medlock.access import roletable
from medlock.access.groups import AUDIT, DEMOGRAPHICS, DIRECTORY, KNOWLEDGE, LOOSE, RECORD
from medlock.access.principal import Role
from medlock.access.roles import KINDS, TREATS, role_rights, studied_types
from medlock.access.scopes import rights

PAGE = (Path(__file__).parents[2] / "docs/access.md").read_text()
COLUMNS = [RECORD, AUDIT, DIRECTORY, KNOWLEDGE, LOOSE]


def table():
    """Role → cells of its row."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")
    ]
    return {row[0].partition(" ")[0]: row for row in rows if row[0] != "role"}


def test_every_role_has_a_row():
    """No role is missing and none is invented."""
    assert set(table()) == {role.value for role in Role}


@pytest.mark.parametrize("role", list(Role))
def test_a_row_is_what_the_program_does(role):
    """Letters, restrictions to some types, purposes and kinds of scope are those of the program."""
    name, *cells, _, kinds = table()[role.value]
    purpose = (re.findall(r"purpose (\w+)", name) or ["TREAT"])[0]
    for types, cell in zip(COLUMNS, cells, strict=True):
        if cell == "de-identified":
            assert types <= studied_types(role)
        said = "" if cell == "de-identified" else cell.replace("nothing on", " on")
        parts = [part.partition(" on ") for part in said.split("; ")]
        named = {each: letters for letters, _, only in parts for each in re.findall(r"\w+", only)}
        others = next((letters for letters, on, _ in parts if not on), "")
        for resource_type in types:
            want = rights(named.get(resource_type, others))
            assert role_rights(role, resource_type, purpose) == want, resource_type
    assert tuple(kinds.split()) == tuple(kind.value for kind in KINDS[role])


def test_the_page_is_the_programs_own():
    """scripts/access_page.py was run after the last change of the table."""
    assert "\n".join(roletable.table()) in PAGE


def test_whom_a_role_reaches():
    """The roles that need a relationship are those that the page says, and who has no row reaches nobody."""
    reaches = {name: row[-2] for name, row in table().items()}
    assert {Role(name) for name, said in reaches.items() if "treat" in said} == TREATS
    assert {name for name, said in reaches.items() if said == "nobody"} == {"security-admin", "researcher", "vendor"}


def test_the_loader_may_do_nothing_for_another_purpose():
    """The purpose in the table is demanded."""
    assert not any(role_rights(Role.LOADER, name, "TREAT") for name in RECORD | DEMOGRAPHICS)
