"""Which handler answers at which address: the whole table of pages."""

from __future__ import annotations

from medlock.web.declared import Declared, Mounted
from medlock.web.signin import account, authorizing, enrolling, entering, joining, proving, remembering, routes
from medlock.web.signin.answers import Answer
from medlock.web.signin.counter import Counter, Handler
from medlock.web.signin.ports import Desks
from medlock.web.signin.visit import Visit


def mounted(counter: Counter) -> list[Mounted]:
    """Every page, bound to what answers there."""
    return [counter.static(), *(counter.at(declared, handler) for declared, handler in _table())]


def _table() -> list[tuple[Declared, Handler]]:
    """Addresses and handlers; two handlers for one address: the form's page, then the form."""
    return [
        (routes.HOME, entering.home),
        (routes.SIGN_IN, entering.show),
        (routes.SIGN_IN_SENT, entering.password),
        (routes.SIGN_IN_OPTIONS, entering.passkey_options),
        (routes.SIGN_IN_PASSKEY, entering.passkey),
        (routes.SECOND, entering.show_second),
        (routes.SECOND_SENT, entering.second),
        (routes.RECOVER, entering.show_recover),
        (routes.RECOVER_SENT, entering.recover),
        (routes.INVITATION, joining.show_invitation),
        (routes.INVITATION_SENT, joining.invitation),
        (routes.SIGN_UP, joining.show_sign_up),
        (routes.SIGN_UP_SENT, joining.sign_up),
        (routes.WELCOME, joining.show_welcome),
        (routes.STEP_UP, _both(proving.show, proving.password)),
        (routes.STEP_UP_OPTIONS, proving.passkey_options),
        (routes.STEP_UP_PASSKEY, proving.passkey),
        (routes.ACCOUNT, account.show),
        (routes.SESSION_END, account.end_session),
        (routes.SESSIONS_END, account.end_others),
        (routes.APP_END, account.end_app),
        (routes.UNLOCK, account.unlock),
        (routes.REVIEWED, account.reviewed),
        (routes.SIGN_OUT, account.sign_out),
        (routes.SIGNED_OUT, account.signed_out),
        (routes.PASSKEY_NEW, _both(enrolling.show_passkey, enrolling.add_passkey)),
        (routes.PASSKEY_OPTIONS, enrolling.passkey_options),
        (routes.PASSKEY_NAME, _both(enrolling.show_passkey_name, enrolling.name_passkey)),
        (routes.PASSKEY_TRUST, enrolling.trust_passkey),
        (routes.PASSKEY_REMOVE, _both(enrolling.show_passkey_remove, enrolling.remove_passkey)),
        (routes.TOTP_NEW, _both(enrolling.show_totp, enrolling.add_totp)),
        (routes.TOTP_REMOVE, _both(enrolling.show_totp_remove, enrolling.remove_totp)),
        (routes.RECOVERY, _both(remembering.show_recovery, remembering.recovery)),
        (routes.PASSWORD, _both(remembering.show_password, remembering.set_password)),
        (routes.AUTHORIZE, authorizing.begin),
        (routes.AUTHORIZE_SENT, authorizing.begin),
        (routes.AUTHORIZE_ON, authorizing.resume),
        (routes.DECIDE, authorizing.decide),
    ]


def _both(shown: Handler, sent: Handler) -> Handler:
    """One handler for the two methods of a form."""

    async def either(desks: Desks, visit: Visit) -> Answer:
        return await (sent if visit.method == "POST" else shown)(desks, visit)

    return either
