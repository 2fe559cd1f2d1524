"""The account page: how one signs in, where one is signed in, which apps may reach one's data; each can be ended."""

from __future__ import annotations

from contextlib import suppress

from medlock.errors import NotFound
from medlock.web.signin.answers import Answer, Goto, Page
from medlock.web.signin.arriving import done
from medlock.web.signin.cookies import BROWSER, PENDING, SESSION, Cookie
from medlock.web.signin.ports import Desks
from medlock.web.signin.routes import SIGNED_OUT
from medlock.web.signin.visit import Visit

DONE = frozenset(
    {
        "passkey",
        "passkey-gone",
        "passkey-trusted",
        "authenticator",
        "authenticator-gone",
        "codes",
        "password",
        "session",
        "sessions",
        "app",
        "unlocked",
        "reviewed",
    }
)
"""What the page may say was done; anything else in its address is not said."""


async def show(desks: Desks, visit: Visit) -> Answer:
    """Everything about this account."""
    who, was = visit.who, visit.query.one("done")
    facts = {
        "held": await desks.factors.held(who),
        "sessions": await desks.sessions.of(who),
        "attempts": await desks.sessions.attempts(who),
        "apps": await desks.apps.of(who),
        "review": await desks.sessions.review(who),
        "notices": await desks.notices.of(who),
        "done": was if was in DONE else "",
    }
    return Page("account.html", facts)


async def end_session(desks: Desks, visit: Visit) -> Answer:
    """End one session; one that has ended meanwhile is as good."""
    with suppress(NotFound):
        await desks.sessions.end(visit.who, visit.path["id"])
    return done("session")


async def end_others(desks: Desks, visit: Visit) -> Answer:
    """End all sessions but this one."""
    await desks.sessions.end_others(visit.who)
    return done("sessions")


async def end_app(desks: Desks, visit: Visit) -> Answer:
    """An app may nothing more."""
    with suppress(NotFound):
        await desks.apps.revoke(visit.who, visit.path["id"])
    return done("app")


async def unlock(desks: Desks, visit: Visit) -> Answer:
    """Failed sign-ins count no longer."""
    await desks.sessions.unlock(visit.who)
    return done("unlocked")


async def reviewed(desks: Desks, visit: Visit) -> Answer:
    """They have looked through what they sign in with; nothing changes by it."""
    await desks.sessions.reviewed(visit.who)
    return done("reviewed")


async def sign_out(desks: Desks, visit: Visit) -> Answer:
    """End this session, and clear what the browser keeps of us."""
    with suppress(NotFound):
        await desks.sessions.end(visit.who, visit.who.session)
    return Goto(SIGNED_OUT.path, (Cookie(SESSION, ""), Cookie(PENDING, ""), Cookie(BROWSER, "")), leaving=True)


async def signed_out(_desks: Desks, _visit: Visit) -> Answer:
    """It is done."""
    return Page("signed_out.html")
