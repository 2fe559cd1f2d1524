"""Step-up: a proof within five minutes for what weighs more (ASVS 5.0 7.5.3). The session gets a new secret."""

from __future__ import annotations

from medlock.errors import BadRequest, NotAuthenticated, TooMany
from medlock.web.signin.answers import Answer, Data, Page
from medlock.web.signin.arriving import again, arrived
from medlock.web.signin.places import app_of, known, path_of
from medlock.web.signin.ports import Desks, NeedSignIn
from medlock.web.signin.visit import Visit

REFUSALS = (NotAuthenticated, BadRequest, TooMany)


async def show(desks: Desks, visit: Visit) -> Answer:
    """Ask for a passkey where there is one, and for the password where there is one."""
    to = known(visit.query.one("to"))
    held = await desks.factors.held(visit.who)
    return Page("step_up.html", {"to": to, "held": held}, target=await _target(desks, to))


async def password(desks: Desks, visit: Visit) -> Answer:
    """The password, and the code of the authenticator app."""
    form, to, who = visit.form, known(visit.form.one("to")), visit.who
    code = "".join(form.one("code").split())[:16]
    try:
        found = await desks.proofs.password(who, form.one("password"), code, visit.place)
    except REFUSALS as refusal:
        return again(visit, refusal, "step_up.html", "password", to=to, held=await desks.factors.held(who))
    return arrived(found, path_of(to))


async def passkey_options(desks: Desks, visit: Visit) -> Answer:
    """A fresh challenge for their passkeys."""
    ceremony = await desks.proofs.options(visit.who, visit.place)
    return Data({"ceremony": ceremony.handle, "options": ceremony.options})


async def passkey(desks: Desks, visit: Visit) -> Answer:
    """A passkey's answer."""
    form, to, who = visit.form, known(visit.form.one("to")), visit.who
    try:
        found = await desks.proofs.passkey(who, form.one("ceremony"), form.one("credential"), visit.place)
    except REFUSALS as refusal:
        return again(visit, refusal, "step_up.html", "", to=to, held=await desks.factors.held(who))
    return arrived(found, path_of(to))


async def _target(desks: Desks, to: str) -> str:
    """Where an app's request will end, for the policy of this page's form."""
    handle = app_of(to)
    found = await desks.apps.resume(handle, None) if handle else None
    return found.redirect if isinstance(found, NeedSignIn) else ""
