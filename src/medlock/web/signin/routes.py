"""Addresses of the pages, with what each declares. None holds a secret: codes and tokens travel in bodies."""

from __future__ import annotations

from medlock.web.declared import Declared, Face, Permission, Rate
from medlock.web.signin.form import BODY_BYTES

_BOTH = ("GET", "POST")


def _shown(path: str) -> Declared:
    """A page for people who are not signed in."""
    return Declared(path, ("GET",), Permission.PUBLIC, Rate.PAGE, face=Face.PAGE)


def _sent(path: str, rate: Rate = Rate.LOGIN) -> Declared:
    """A form of theirs, in which a secret is tried."""
    return Declared(path, ("POST",), Permission.PUBLIC, rate, body=BODY_BYTES, face=Face.PAGE)


def _signed_in(path: str, *methods: str) -> Declared:
    """A page for who is signed in."""
    return Declared(path, methods or _BOTH, Permission.SESSION, Rate.PAGE, body=BODY_BYTES, face=Face.PAGE)


def _proven(path: str, *methods: str) -> Declared:
    """A page for who has proven themselves within minutes."""
    return Declared(path, methods or _BOTH, Permission.STEP_UP, Rate.PAGE, body=BODY_BYTES, face=Face.PAGE)


STATIC = Declared("/static/{file}", ("GET",), Permission.PUBLIC, Rate.FREE, face=Face.PAGE)
HOME = _shown("/")

SIGN_IN, SIGN_IN_SENT = _shown("/sign-in"), _sent("/sign-in")
SIGN_IN_OPTIONS = _sent("/sign-in/passkey/options", Rate.PAGE)
SIGN_IN_PASSKEY = _sent("/sign-in/passkey")
SECOND, SECOND_SENT = _shown("/sign-in/code"), _sent("/sign-in/code")
RECOVER, RECOVER_SENT = _shown("/sign-in/recover"), _sent("/sign-in/recover")
INVITATION, INVITATION_SENT = _shown("/invitation"), _sent("/invitation")
SIGN_UP, SIGN_UP_SENT = _shown("/sign-up"), _sent("/sign-up")
SIGNED_OUT = _shown("/signed-out")
SIGN_OUT = _signed_in("/sign-out", "POST")

WELCOME = _signed_in("/welcome", "GET")
ACCOUNT = _signed_in("/account", "GET")
SESSION_END = _signed_in("/account/sessions/{id}/end", "POST")
SESSIONS_END = _signed_in("/account/sessions/end-others", "POST")
REVIEWED = _signed_in("/account/reviewed", "POST")
APP_END = _signed_in("/account/apps/{id}/end", "POST")
PASSKEY_NAME = _signed_in("/account/passkeys/{id}/name")

STEP_UP = _signed_in("/step-up")
STEP_UP_OPTIONS = _signed_in("/step-up/passkey/options", "POST")
STEP_UP_PASSKEY = _signed_in("/step-up/passkey", "POST")

UNLOCK = _proven("/account/unlock", "POST")  # or a stolen session would make the guessing of codes free
PASSKEY_NEW = _proven("/account/passkeys/new")
PASSKEY_OPTIONS = _proven("/account/passkeys/options", "POST")
PASSKEY_TRUST = _proven("/account/passkeys/{id}/trust", "POST")
PASSKEY_REMOVE = _proven("/account/passkeys/{id}/remove")
TOTP_NEW = _proven("/account/authenticator/new")
TOTP_REMOVE = _proven("/account/authenticator/remove")
RECOVERY = _proven("/account/recovery-codes")
PASSWORD = _proven("/account/password")

AUTHORIZE, AUTHORIZE_SENT = _shown("/oauth/authorize"), _sent("/oauth/authorize", Rate.PAGE)
AUTHORIZE_ON = _shown("/oauth/authorize/continue")
DECIDE = _proven("/oauth/authorize/decide", "POST")

DECLARED: tuple[Declared, ...] = tuple(each for each in list(globals().values()) if isinstance(each, Declared))

UNSETTLED = frozenset({WELCOME, SIGN_OUT, PASSKEY_NEW, PASSKEY_OPTIONS, PASSKEY_NAME, TOTP_NEW, RECOVERY, PASSWORD})
"""Where somebody may go who must enrol before anything else; steps of proof beside them."""

APPS = frozenset({AUTHORIZE, AUTHORIZE_SENT, AUTHORIZE_ON, DECIDE})
"""Where apps ask for something."""

FOREIGN_FORMS = frozenset({AUTHORIZE_SENT})
"""Where an app may send a form: the request is checked by oauth, changes nothing, and shows a page."""
