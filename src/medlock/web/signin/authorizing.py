"""The authorisation endpoint's pages: what an app asks, scope by scope, and a person's answer (SMART App Launch 2.2).

A request that names an unknown app or another address than the app's is shown as an error here and sent nowhere. What
the form brings back is held against what was offered; oauth holds it against what was asked once more.
"""

from __future__ import annotations

from medlock.errors import BadRequest
from medlock.oauth.people import Sought
from medlock.web.signin.answers import Answer, Goto, Page
from medlock.web.signin.places import for_app, with_name
from medlock.web.signin.ports import AppRequest, Desks, NeedSignIn, ToApp
from medlock.web.signin.routes import SIGN_IN, STEP_UP, WELCOME
from medlock.web.signin.visit import Visit


async def begin(desks: Desks, visit: Visit) -> Answer:
    """A request, by GET or POST."""
    fields = visit.form.pairs if visit.method == "POST" else visit.query.pairs
    found = await desks.apps.begin(fields, visit.visitor, visit.place)
    if isinstance(found, NeedSignIn) and visit.method == "POST":
        # a form from another site brings no cookie; the page after it does
        return Goto(with_name(SIGN_IN.path, for_app(found.handle)))
    return await _answer(visit, found)


async def resume(desks: Desks, visit: Visit) -> Answer:
    """The same request, after a sign-in or a proof."""
    return await _answer(visit, await desks.apps.resume(visit.query.one("request"), visit.visitor))


async def decide(desks: Desks, visit: Visit) -> Answer:
    """The person's answer."""
    form, who = visit.form, visit.who
    handle = form.one("request")
    if form.one("more") or form.one("answer") == "search":
        return await _searched(desks, visit)
    asked = await desks.apps.resume(handle, who)
    if not isinstance(asked, AppRequest):
        return await _answer(visit, asked)
    if form.one("answer") != "allow":
        return await desks.apps.decide(handle, who, (), "")
    chosen, patient = _chosen(visit, asked), form.one("patient")
    fault = _fault(asked, chosen, patient)
    if fault:
        return _faulty(visit, asked, fault)
    return await desks.apps.decide(handle, who, chosen, patient)


async def _searched(desks: Desks, visit: Visit) -> Answer:
    """Look for whose record the app may reach: a form, so that no name stands in an address."""
    form = visit.form
    handle, sought = form.one("request"), Sought(form.one("name").strip(), form.one("birth"), form.one("more"))
    try:
        asked = await desks.apps.resume(handle, visit.who, sought)
    except BadRequest as fault:
        asked = await desks.apps.resume(handle, visit.who)  # when that was what is wrong, it is raised again
        fault.issue = "name"
        return _faulty(visit, asked, fault) if isinstance(asked, AppRequest) else await _answer(visit, asked)
    if not isinstance(asked, AppRequest):
        return await _answer(visit, asked)
    return Page("authorize.html", _kept(visit, asked), target=asked.redirect)


def _chosen(visit: Visit, asked: AppRequest) -> tuple[str, ...]:
    """The scopes that were ticked, of those that were offered."""
    offered = {scope for each in asked.scopes for scope in (each.scope, *(narrow for narrow, _ in each.narrower))}
    return tuple(scope for scope in dict.fromkeys(visit.form.all("scope")) if scope in offered)


def _kept(visit: Visit, asked: AppRequest) -> dict[str, object]:
    """What the page shows of what was filled in."""
    form = visit.form
    filled = {"name": form.one("name"), "birth": form.one("birth"), "patient": form.one("patient")}
    return {"asked": asked, "chosen": _chosen(visit, asked), **filled}


def _faulty(visit: Visit, asked: AppRequest, fault: BadRequest) -> Page:
    """The same page with what is missing."""
    said = {"fault": visit.words.say(str(fault)), "fault_field": fault.issue}
    return Page("authorize.html", _kept(visit, asked) | said, 400, asked.redirect)


def _fault(asked: AppRequest, chosen: tuple[str, ...], patient: str) -> BadRequest | None:
    """What is missing in an answer."""
    kinds = {each.scope for each in asked.scopes if each.kind in {"launch", "offline"}}
    if not set(chosen) - kinds:
        return _missing("Choose at least one thing that the app may do, or do not allow it.", "scopes")
    unknown = asked.patients and patient not in {each.id for each in asked.patients}
    if not patient if asked.searchable else unknown:  # whom one may find is asked at the door, when it is decided
        return _missing("Choose whose record the app may reach.", "patients")
    return None


def _missing(sentence: str, field: str) -> BadRequest:
    fault = BadRequest(sentence)
    fault.issue = field
    return fault


async def _answer(visit: Visit, found: ToApp | NeedSignIn | AppRequest) -> Answer:
    """What comes next for a request."""
    if isinstance(found, ToApp):
        return found
    if isinstance(found, NeedSignIn):
        # who is signed in already proves it once more: the app wants it fresher
        return Goto(with_name(STEP_UP.path if visit.visitor else SIGN_IN.path, for_app(found.handle)))
    if visit.who.unsettled:
        return Goto(WELCOME.path)
    if not visit.fresh:
        return Goto(with_name(STEP_UP.path, for_app(found.handle)))
    patient = found.patients[0].id if len(found.patients) == 1 else ""
    chosen = tuple(each.scope for each in found.scopes)
    facts = {"asked": found, "chosen": chosen, "patient": patient, "name": "", "birth": ""}
    return Page("authorize.html", facts, target=found.redirect)
