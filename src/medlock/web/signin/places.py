"""Where people go on after a stop: names, never addresses, so that nothing in a link can lead to another site.

A name stands for one page; `a.` and a handle stand for an app's request that waits. What is neither is the account
page.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from medlock.web.declared import Declared
from medlock.web.signin import routes
from medlock.web.signin.visit import Visit

_NAMES = {
    "passkey": routes.PASSKEY_NEW.path,
    "authenticator": routes.TOTP_NEW.path,
    "recovery-codes": routes.RECOVERY.path,
    "password": routes.PASSWORD.path,
}
_BY_PATH = {path: name for name, path in _NAMES.items()}
_APP = re.compile(r"a\.([A-Za-z0-9_-]{8,128})")


def path_of(name: str) -> str:
    """The page that a name stands for."""
    app = _APP.fullmatch(name)
    if app:
        return f"{routes.AUTHORIZE_ON.path}?{urlencode({'request': app[1]})}"
    return _NAMES.get(name, routes.ACCOUNT.path)


def app_of(name: str) -> str:
    """The handle in a name, or ""."""
    found = _APP.fullmatch(name)
    return found[1] if found else ""


def for_app(handle: str) -> str:
    """The name of an app's request."""
    return f"a.{handle}"


def known(name: str) -> str:
    """A name as it may stand in a form of ours, or ""."""
    return name if name in _NAMES or _APP.fullmatch(name) else ""


def with_name(path: str, name: str) -> str:
    """A page, told where to go on."""
    return f"{path}?{urlencode({'to': name})}" if known(name) else path


def sign_in_for(declared: Declared, visit: Visit) -> str:
    """The sign-in page on the way to a page."""
    return with_name(routes.SIGN_IN.path, _name_of(declared, visit))


def step_up_for(declared: Declared, visit: Visit) -> str:
    """The page that asks for a proof, on the way to another."""
    return with_name(routes.STEP_UP.path, _name_of(declared, visit))


def _name_of(declared: Declared, visit: Visit) -> str:
    """What a page is called here; an app's request by its handle."""
    if declared == routes.DECIDE:
        return for_app(visit.form.one("request"))
    return _BY_PATH.get(declared.path, "")
