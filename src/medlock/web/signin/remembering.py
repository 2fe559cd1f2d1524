"""What people remember or keep on paper: the password and the recovery codes."""

from __future__ import annotations

from medlock.errors import BadRequest, Conflict, NotAuthenticated, TooMany
from medlock.web.signin.answers import Answer, Page
from medlock.web.signin.arriving import again, onward
from medlock.web.signin.places import known
from medlock.web.signin.ports import Desks, Sheet
from medlock.web.signin.visit import Visit

REFUSALS = (NotAuthenticated, BadRequest, Conflict, TooMany)
_CODES_MAX, _TEXT_MAX = 20, 64


async def show_recovery(desks: Desks, visit: Visit) -> Answer:
    """What recovery codes are for."""
    held = await desks.factors.held(visit.who)
    return Page("recovery_codes.html", {"sheet": None, "held": held, "to": known(visit.query.one("to"))})


async def recovery(desks: Desks, visit: Visit) -> Answer:
    """Ten new codes, shown in this answer and never again; then one of them typed back.

    A wrong one brings the same page again, out of its own form: nothing of it was kept here.
    """
    form, to = visit.form, known(visit.form.one("to"))
    if not form.one("ceremony"):
        sheet = await desks.factors.recovery_begin(visit.who, visit.place)
        return Page("recovery_codes.html", {"sheet": sheet, "held": await desks.factors.held(visit.who), "to": to})
    try:
        session = await desks.factors.recovery_finish(
            visit.who, visit.place, form.one("ceremony"), form.one("code")[:_TEXT_MAX]
        )
    except REFUSALS as refusal:
        codes = tuple(code[:_TEXT_MAX] for code in form.all("codes")[:_CODES_MAX])
        sheet = Sheet(form.one("ceremony"), codes)
        held = await desks.factors.held(visit.who)
        return again(visit, refusal, "recovery_codes.html", "code", sheet=sheet, held=held, to=to)
    return await onward(desks, visit, to, "codes", session)


async def show_password(desks: Desks, visit: Visit) -> Answer:
    """Ask for a new password, with what it must be."""
    return await _password_page(desks, visit, known(visit.query.one("to")))


async def set_password(desks: Desks, visit: Visit) -> Answer:
    """The new password."""
    form, to = visit.form, known(visit.form.one("to"))
    try:
        session = await desks.factors.password_set(
            visit.who, visit.place, form.one("ceremony"), form.one("password"), form.one("present")
        )
    except REFUSALS as refusal:
        page = await _password_page(desks, visit, to)
        field = "present" if isinstance(refusal, NotAuthenticated) else "password"
        return again(visit, refusal, page.template, field, **page.facts)
    return await onward(desks, visit, to, "password", session)


async def _password_page(desks: Desks, visit: Visit, to: str) -> Page:
    offer = await desks.factors.password_begin(visit.who, visit.place)
    return Page("password.html", {"offer": offer, "held": await desks.factors.held(visit.who), "to": to})
