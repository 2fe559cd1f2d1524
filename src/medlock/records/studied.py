"""Whom a Group names, for an export of it: its active members that are patients (Bulk Data 2.0, Group-level export).

A Group that says what its members are like instead of naming them, or that has Groups inside, is refused: whom it means
cannot be told. Who sees nothing but de-identified output gets no Group of a few: they may know who is in it.
"""

from __future__ import annotations

from typing import Any, Final

from medlock.access.grant import Grant
from medlock.errors import NotFound, Unprocessable
from medlock.fhir.parse import parse_json
from medlock.records.read import NOT_FOUND
from medlock.records.vault import Vault

FEW: Final = 11
"""Members that a Group must have at least for researchers: the classes of EMA policy 0070."""
_UNCLEAR: Final = "This Group does not name its members one by one; only such a Group can be exported."


async def members_of(vault: Vault, grant: Grant, group: str) -> list[str]:
    """Ids of the patients, each once. Raises NotFound, Unprocessable."""
    opened = await vault.current("Group", group)
    if opened is None or opened.meta.deleted or not grant.counts_on(opened):
        raise NotFound(NOT_FOUND, reason="Group unknown or out of reach")
    tree = parse_json(opened.body)
    members = tree.get("member", [])
    references = [_reference(each) for each in members if each.get("inactive") is not True]
    if tree.get("actual") is not True or any(each.startswith("Group/") for each in references):
        raise _hidden("members are not named") if grant.studies else Unprocessable(_UNCLEAR)
    found = list(dict.fromkeys(each.removeprefix("Patient/") for each in references if each.startswith("Patient/")))
    if grant.studies and len([each for each in found if await vault.patient_slot(each) is not None]) < FEW:
        raise _hidden(f"fewer than {FEW} members")
    return found


def _hidden(reason: str) -> NotFound:
    """What a researcher is told of a Group that is not for them: the same as of one that is not there."""
    return NotFound(NOT_FOUND, reason=f"{reason}, for a researcher")


def _reference(member: dict[str, Any]) -> str:
    """`Type/id` of a member, without a version."""
    return str(member.get("entity", {}).get("reference", "")).partition("/_history/")[0]
