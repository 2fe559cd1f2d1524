"""Sign in: with a passkey, or with a password and a second factor, or with a recovery code.

What was typed wrong is told in one sentence that fits every cause, so nobody learns here who has an account.
"""

from __future__ import annotations

from medlock.errors import BadRequest, NotAuthenticated, TooMany
from medlock.web.signin.answers import Answer, Data, Goto, Page
from medlock.web.signin.arriving import again, welcome
from medlock.web.signin.places import app_of, known, path_of, with_name
from medlock.web.signin.ports import Desks, NeedSignIn, ToApp, UnknownPasskey
from medlock.web.signin.routes import ACCOUNT, SIGN_IN
from medlock.web.signin.visit import Visit

REFUSALS = (NotAuthenticated, BadRequest, TooMany)
WAYS = frozenset({"otp", "hwk", "rcv"})


async def home(_desks: Desks, visit: Visit) -> Answer:
    """The site's address alone."""
    return Goto(ACCOUNT.path if visit.visitor else SIGN_IN.path)


async def show(desks: Desks, visit: Visit) -> Answer:
    """The sign-in page; who is signed in goes on."""
    to = known(visit.query.one("to"))
    if visit.visitor:
        return Goto(path_of(to))
    return Page("sign_in.html", {"to": to, "login": ""}, target=await _target(desks, to))


async def password(desks: Desks, visit: Visit) -> Answer:
    """User name and password."""
    form, to = visit.form, known(visit.form.one("to"))
    login = form.one("username").strip()[:256]
    try:
        found = await desks.sign_in.password(login, form.one("password"), visit.place)
    except REFUSALS as refusal:
        return again(visit, refusal, "sign_in.html", "username", to=to, login=login)
    return await welcome(desks, found, to)


async def passkey_options(desks: Desks, visit: Visit) -> Answer:
    """A fresh challenge."""
    ceremony = await desks.sign_in.passkey_options(visit.place)
    return Data({"ceremony": ceremony.handle, "options": ceremony.options})


async def passkey(desks: Desks, visit: Visit) -> Answer:
    """A passkey's answer."""
    form, to = visit.form, known(visit.form.one("to"))
    try:
        found = await desks.sign_in.passkey(form.one("ceremony"), form.one("credential"), visit.place)
    except UnknownPasskey as refusal:
        return again(visit, refusal, "sign_in.html", "", to=to, login="", unknown=refusal.signal)
    except REFUSALS as refusal:
        return again(visit, refusal, "sign_in.html", "", to=to, login="")
    return await welcome(desks, found, to)


async def show_second(_desks: Desks, visit: Visit) -> Answer:
    """Ask for what is missing: a code, a passkey, a recovery code. Without a first factor there is nothing to ask."""
    to = known(visit.query.one("to"))
    if not visit.pending:
        return Goto(with_name(SIGN_IN.path, to))
    return Page("second.html", {"to": to, "by": _ways(visit.query.one("by"))})


async def second(desks: Desks, visit: Visit) -> Answer:
    """The code."""
    to = known(visit.form.one("to"))
    try:
        found = await desks.sign_in.code(visit.pending, _digits(visit.form.one("code")), visit.place)
    except REFUSALS as refusal:
        return again(visit, refusal, "second.html", "code", to=to, by=_ways(visit.form.one("by")))
    return await welcome(desks, found, to)


async def show_recover(_desks: Desks, visit: Visit) -> Answer:
    """Ask for a recovery code; for the user name too when nothing is known yet."""
    return Page("recover.html", {"to": known(visit.query.one("to")), "login": "", "named": bool(visit.pending)})


async def recover(desks: Desks, visit: Visit) -> Answer:
    """The recovery code."""
    form, to = visit.form, known(visit.form.one("to"))
    login = form.one("username").strip()[:256]
    try:
        found = await desks.sign_in.recovery(visit.pending, login, form.one("code").strip(), visit.place)
    except REFUSALS as refusal:
        return again(visit, refusal, "recover.html", "code", to=to, login=login, named=bool(visit.pending))
    return await welcome(desks, found, to)


async def _target(desks: Desks, to: str) -> str:
    """Where an app's request will end, because a browser holds a form's policy against later redirects too."""
    handle = app_of(to)
    if not handle:
        return ""
    found = await desks.apps.resume(handle, None)
    return found.redirect if isinstance(found, NeedSignIn) else found.address if isinstance(found, ToApp) else ""


def _digits(text: str) -> str:
    """A code as people type it, without spaces."""
    return "".join(text.split())[:16]


def _ways(text: str) -> tuple[str, ...]:
    """What may be missing, as an address says it: it decides only what the page offers."""
    return tuple(way for way in text.split() if way in WAYS) or ("otp", "rcv")
