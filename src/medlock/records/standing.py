"""Nobody appoints themselves: consents name roles, teams and groups, and who may write those would decide who is meant.

A change by which its own writer begins or ceases to answer to a PractitionerRole, or to a CareTeam or Group that is
there, is refused, whatever consents name by now: an answer that hung on that would tell of them. A new team may have
its maker in it, since no consent can name it yet. Where the site asks for a treatment relationship, the time and hours
of one's own role are such a change as well: they say who is on call. That two write each other in is not seen here; the
log says who did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medlock.errors import Denied
from medlock.fhir.parse import parse_json
from medlock.records.closure import TEAMS, TooDeep, Unclear, answers_to, in_team, of_role
from medlock.records.drafts import Context
from medlock.store.bodies import Opened

_ROLE = "PractitionerRole"
_HOURS = ("active", "availableTime", "notAvailable")
_GONE: Mapping[str, Any] = {}


async def refuse_appointing_oneself(context: Context, type_: str, id_: str, resource: Mapping[str, Any]) -> None:
    """Return when what is written, nothing for a deletion, leaves its writer who they are. Raises Denied."""
    if type_ != _ROLE and type_ not in TEAMS:
        return
    before = await context.vault.current(type_, id_)
    if type_ == _ROLE:
        changed = _role(context, before) != of_role(resource, f"{type_}/{id_}", context.principal.fhir_user)
        changed = changed or (before is not None and _other_hours(context, _body(before), resource))
    else:
        then = await _place(context, type_, resource)
        changed = before is not None and await _place(context, type_, _body(before)) != then
    if changed:
        raise Denied(f"whoever is named in a {type_} does not change that themselves")


async def refuse_resigning(context: Context, opened: Opened) -> None:
    """The same for a deletion."""
    await refuse_appointing_oneself(context, opened.meta.type, opened.meta.id, _GONE)


async def _place(context: Context, type_: str, team: Mapping[str, Any]) -> list[str]:
    """By what a writer is in a team, and for what time; nothing when they are not, whenever."""
    who = await answers_to(context.vault, context.principal)
    try:
        if not await in_team(context.vault, type_, team, who):
            return []
    except TooDeep as fault:
        raise Denied(fault.why) from fault
    except Unclear:
        return []
    among, name = TEAMS[type_]
    entries = [((each.get(name) or {}).get("reference"), each.get("period")) for each in team.get(among) or ()]
    named = [(str(each).partition("/_history/")[0], when) for each, when in entries]
    own = [each for each in named if each[0] in who or each[0].partition("/")[0] in TEAMS]
    return [repr(team.get("period")), *sorted(map(repr, own))]


def _role(context: Context, before: Opened | None) -> frozenset[str]:
    if before is None:
        return frozenset()
    return of_role(_body(before), before.meta.reference, context.principal.fhir_user)


def _other_hours(context: Context, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a role of the writer's gets another time; or other hours, where a relationship hangs on them."""
    person = context.principal.fhir_user
    if not person:
        return False
    related = context.consents is not None and context.consents.heard.site.related
    changed = any(before.get(name) != after.get(name) for name in (*(_HOURS if related else ()), "period"))
    return changed and any(_holder(each) == person for each in (before, after))


def _holder(role: Mapping[str, Any]) -> str:
    reference = (role.get("practitioner") or {}).get("reference")
    return reference.partition("/_history/")[0] if isinstance(reference, str) else ""


def _body(before: Opened) -> Mapping[str, Any]:
    return _GONE if before.meta.deleted else parse_json(before.body)
