"""From a code on paper to an account: invitations of staff and patients, and sign-up with the clinic's code.

The code travels in a form, or in the fragment of a link, which no server sees. Whoever has joined chooses how
to sign in before anything else: `/welcome` says what is still to do.
"""

from __future__ import annotations

from medlock.errors import BadRequest, Conflict, NotAuthenticated, TooMany
from medlock.web.signin.answers import Answer, Goto, Page
from medlock.web.signin.arriving import again, arrived
from medlock.web.signin.ports import Desks, Holdings, Visitor
from medlock.web.signin.routes import ACCOUNT, WELCOME
from medlock.web.signin.visit import Visit

REFUSALS = (NotAuthenticated, BadRequest, Conflict, TooMany)


async def show_invitation(_desks: Desks, _visit: Visit) -> Answer:
    """Ask for the invitation's code."""
    return Page("join.html", {"kind": "invitation", "login": "", "birth": ""})


async def show_sign_up(_desks: Desks, _visit: Visit) -> Answer:
    """Ask for the clinic's code."""
    return Page("join.html", {"kind": "sign-up", "login": "", "birth": ""})


async def invitation(desks: Desks, visit: Visit) -> Answer:
    """The invitation's code, and the user name they chose."""
    return await _join(desks, visit, "invitation")


async def sign_up(desks: Desks, visit: Visit) -> Answer:
    """The clinic's code, the user name they chose, and their date of birth."""
    return await _join(desks, visit, "sign-up")


async def _join(desks: Desks, visit: Visit, kind: str) -> Answer:
    form = visit.form
    login, birth = form.one("username").strip()[:256], form.one("birth").strip()[:10]
    try:
        found = await desks.sign_in.join(form.one("code").strip()[:128], login, birth, visit.place)
    except REFUSALS as refusal:
        return again(visit, refusal, "join.html", "code", kind=kind, login=login, birth=birth)
    return arrived(found, WELCOME.path)


async def show_welcome(desks: Desks, visit: Visit) -> Answer:
    """What is still to do; nothing: the account page."""
    who, held = visit.who, await desks.factors.held(visit.who)
    if held.settled and held.recovery_left and not who.unsettled:
        return Goto(ACCOUNT.path)
    return Page("welcome.html", {"held": held, "stage": _stage(who, held)})


def _stage(who: Visitor, held: Holdings) -> str:
    """What comes next: a way to sign in, another password, or recovery codes."""
    if not held.settled or (who.unsettled and held.staff):
        return "ways"
    if who.unsettled:
        return "password" if "pwd" in who.methods else "ways"
    return "codes"
