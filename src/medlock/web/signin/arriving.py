"""What follows a proof: cookies of the new session, and the next page."""

from __future__ import annotations

from urllib.parse import urlencode

from medlock.errors import MedlockError, TooMany
from medlock.web.signin.answers import Goto, Page
from medlock.web.signin.cookies import DEVICE, PENDING, SESSION, Cookie
from medlock.web.signin.places import known, path_of, with_name
from medlock.web.signin.ports import Arrival, Desks
from medlock.web.signin.routes import ACCOUNT, PASSKEY_NEW, RECOVERY, WELCOME
from medlock.web.signin.visit import Visit


def arrived(arrival: Arrival, path: str) -> Goto:
    """On, with the session's cookie; what a sign-in under way needed is taken away."""
    device = (Cookie(DEVICE, arrival.device),) if arrival.device else ()
    return Goto(path, (_session(arrival), Cookie(PENDING, ""), *device))


def done(what: str, renewed: Arrival | None = None) -> Goto:
    """Back to the account page, which says what was done."""
    return Goto(f"{ACCOUNT.path}?done={what}", (_session(renewed),) if renewed else ())


async def onward(desks: Desks, visit: Visit, to: str, what: str, renewed: Arrival | None = None) -> Goto:
    """After something was enrolled: to what is still to do, else to where they were going."""
    held = await desks.factors.held(renewed.visitor if renewed else visit.who)
    cookies = (_session(renewed),) if renewed else ()
    if not held.settled:
        return Goto(WELCOME.path, cookies)
    if not held.recovery_left:
        return Goto(with_name(RECOVERY.path, to), cookies)
    return Goto(path_of(to), cookies) if to else done(what, renewed)


def _session(arrival: Arrival) -> Cookie:
    return Cookie(SESSION, arrival.secret, strict=arrival.visitor.strict)


async def welcome(desks: Desks, arrival: Arrival, to: str) -> Goto:
    """After a sign-in: who must enrol does; who came with a password is offered a passkey; all others go on."""
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
    return Page(template, {**facts, "fault": said, "fault_field": field, "wait": wait}, status)
