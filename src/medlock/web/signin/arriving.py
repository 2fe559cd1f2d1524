"""What follows a proof: cookies of the new session, and the next page."""

from __future__ import annotations

from urllib.parse import urlencode

from medlock.errors import MedlockError, TooMany
from medlock.web.signin.answers import Goto, Page
from medlock.web.signin.cookies import DEVICE, PENDING, SESSION, Cookie
from medlock.web.signin.places import known, path_of, with_name
from medlock.web.signin.ports import Arrival, Desks, Pending
from medlock.web.signin.routes import ACCOUNT, PASSKEY_NEW, RECOVERY, SECOND, WELCOME
from medlock.web.signin.visit import Visit


def arrived(arrival: Arrival, path: str) -> Goto:
    """On, with the session's cookie; what a sign-in under way needed is taken away."""
    device = (Cookie(DEVICE, arrival.device),) if arrival.device else ()
    return Goto(path, (_session(arrival), Cookie(PENDING, ""), *device))


def moved(path: str, renewed: Arrival | None = None) -> Goto:
    """On; with the session's new secret, if it has one."""
    return Goto(path, (_session(renewed),) if renewed else ())


def done(what: str, renewed: Arrival | None = None) -> Goto:
    """Back to the account page, which says what was done."""
    return moved(f"{ACCOUNT.path}?done={what}", renewed)


async def onward(desks: Desks, visit: Visit, to: str, what: str, renewed: Arrival | None = None) -> Goto:
    """After something was enrolled: to what is still to do, else to where they were going."""
    held = await desks.factors.held(renewed.visitor if renewed else visit.who)
    if not held.settled:
        return moved(WELCOME.path, renewed)
    if not held.recovery_left:
        return moved(with_name(RECOVERY.path, to), renewed)
    return moved(path_of(to), renewed) if to else done(what, renewed)


def _session(arrival: Arrival) -> Cookie:
    return Cookie(SESSION, arrival.secret, strict=arrival.visitor.strict)


async def welcome(desks: Desks, arrival: Arrival | Pending, to: str) -> Goto:
    """After a proof: what is missing, then what must be enrolled, then where they were going.

    Who came with a password and has no passkey is offered one on the way.
    """
    if isinstance(arrival, Pending):
        query = urlencode({"by": " ".join(arrival.seconds), "to": known(to)})
        return Goto(f"{SECOND.path}?{query}", (Cookie(PENDING, arrival.secret),))
    visitor = arrival.visitor
    if visitor.unsettled:
        return arrived(arrival, WELCOME.path)
    if "pwd" in visitor.methods:
        held = await desks.factors.held(visitor)
        if not held.passkeys:
            return arrived(arrival, f"{PASSKEY_NEW.path}?{urlencode({'offer': 'yes', 'to': known(to)})}")
    return arrived(arrival, path_of(to))


def again(visit: Visit, refusal: MedlockError, template: str, field: str, **facts: object) -> Page:
    """The same page with what was wrong, said at the top and at the field."""
    said = visit.words.say(str(refusal))
    status = refusal.http_status if refusal.http_status in {400, 401, 409, 422, 429} else 400
    wait = refusal.retry_after if isinstance(refusal, TooMany) else 0
    return Page(template, {**facts, "fault": said, "fault_field": field}, status, wait=wait)
