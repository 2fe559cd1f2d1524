"""Passkeys and the authenticator app: made, named, taken away by their owner, each in at most three screens."""

from __future__ import annotations

from urllib.parse import urlencode

from medlock.errors import BadRequest, Conflict, NotAuthenticated, NotFound, TooMany
from medlock.web.signin import routes
from medlock.web.signin.answers import Answer, Data, Page
from medlock.web.signin.arriving import again, done, moved, onward
from medlock.web.signin.places import known, path_of
from medlock.web.signin.ports import Desks, Passkey, Seed
from medlock.web.signin.qr import drawn
from medlock.web.signin.visit import Visit

REFUSALS = (NotAuthenticated, BadRequest, Conflict, TooMany)
NAME_MAX = 60
_TEXT_MAX = 512


async def show_passkey(desks: Desks, visit: Visit) -> Answer:
    """Offer to make a passkey."""
    return await _passkey_page(desks, visit, visit.query.one("to"), offer=visit.query.one("offer") == "yes")


async def passkey_options(desks: Desks, visit: Visit) -> Answer:
    """A fresh challenge."""
    conditional = visit.form.one("conditional") == "yes"
    ceremony = await desks.factors.passkey_options(visit.who, visit.place, conditional=conditional)
    return Data({"ceremony": ceremony.handle, "options": ceremony.options})


async def add_passkey(desks: Desks, visit: Visit) -> Answer:
    """The new passkey; the next page asks for its name."""
    form, to = visit.form, known(visit.form.one("to"))
    try:
        made, session = await desks.factors.passkey_add(
            visit.who, visit.place, form.one("ceremony"), form.one("credential")
        )
    except REFUSALS as refusal:
        page = await _passkey_page(desks, visit, to, offer=False)
        return again(visit, refusal, page.template, "", **page.facts)
    return moved(f"{routes.PASSKEY_NAME.path.format(id=made)}?{urlencode({'new': 'yes', 'to': to})}", session)


async def show_passkey_name(desks: Desks, visit: Visit) -> Answer:
    """Ask what to call it."""
    found = await _passkey(desks, visit)
    facts = {"passkey": found, "new": visit.query.one("new") == "yes", "to": known(visit.query.one("to"))}
    return Page("passkey_name.html", facts)


async def name_passkey(desks: Desks, visit: Visit) -> Answer:
    """Its name; then what is still to do."""
    found, to = await _passkey(desks, visit), known(visit.form.one("to"))
    name = " ".join(visit.form.one("name").split())[:NAME_MAX]
    if name and name != found.name:
        await desks.factors.passkey_rename(visit.who, found.id, name)
    return await onward(desks, visit, to, "passkey")


async def trust_passkey(desks: Desks, visit: Visit) -> Answer:
    """A doubted passkey is their own after all."""
    await desks.factors.passkey_trust(visit.who, (await _passkey(desks, visit)).id)
    return done("passkey-trusted")


async def show_passkey_remove(desks: Desks, visit: Visit) -> Answer:
    """Ask whether they mean it."""
    return Page("remove.html", {"what": "passkey", "passkey": await _passkey(desks, visit)})


async def remove_passkey(desks: Desks, visit: Visit) -> Answer:
    """It signs nobody in any more."""
    found = await _passkey(desks, visit)
    try:
        session = await desks.factors.passkey_remove(visit.who, visit.place, found.id)
    except REFUSALS as refusal:
        return again(visit, refusal, "remove.html", "", what="passkey", passkey=found)
    return done("passkey-gone", session)


async def show_totp(desks: Desks, visit: Visit) -> Answer:
    """A new secret, as a picture and as text."""
    return _totp_page(await desks.factors.totp_begin(visit.who, visit.place), known(visit.query.one("to")))


async def add_totp(desks: Desks, visit: Visit) -> Answer:
    """The first code shows that the app has the secret. A wrong one brings the same page again, out of its own form."""
    form, to = visit.form, known(visit.form.one("to"))
    seed = Seed(form.one("ceremony"), form.one("secret")[:_TEXT_MAX], form.one("uri")[:_TEXT_MAX])
    try:
        session = await desks.factors.totp_finish(visit.who, visit.place, seed.handle, form.one("code").strip()[:16])
    except REFUSALS as refusal:
        page = _totp_page(seed, to)
        return again(visit, refusal, page.template, "code", **page.facts)
    return await onward(desks, visit, to, "authenticator", session)


async def show_totp_remove(_desks: Desks, _visit: Visit) -> Answer:
    """Ask whether they mean it."""
    return Page("remove.html", {"what": "authenticator", "passkey": None})


async def remove_totp(desks: Desks, visit: Visit) -> Answer:
    """Its codes count no longer."""
    try:
        session = await desks.factors.totp_remove(visit.who, visit.place)
    except REFUSALS as refusal:
        return again(visit, refusal, "remove.html", "", what="authenticator", passkey=None)
    return done("authenticator-gone", session)


async def _passkey_page(desks: Desks, visit: Visit, to: str, *, offer: bool) -> Page:
    held = await desks.factors.held(visit.who)
    return Page("passkey_new.html", {"offer": offer, "to": known(to), "held": held, "onward": path_of(known(to))})


async def _passkey(desks: Desks, visit: Visit) -> Passkey:
    """The passkey in the address, if it is theirs. Raises NotFound."""
    held = await desks.factors.held(visit.who)
    found = next((each for each in held.passkeys if each.id == visit.path["id"]), None)
    if found is None:
        raise NotFound("There is no such passkey here.")
    return found


def _totp_page(seed: Seed, to: str) -> Page:
    groups = " ".join(seed.secret[at : at + 4] for at in range(0, len(seed.secret), 4))
    return Page("authenticator.html", {"seed": seed, "groups": groups, "qr": drawn(seed.uri), "to": to})
