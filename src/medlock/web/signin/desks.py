"""What the pages speak with, made of identity and the authorization server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from medlock.identity.enrolment import Words, no_words
from medlock.identity.proving import Proving
from medlock.identity.services import Identity
from medlock.oauth.server import AuthorizationServer
from medlock.web.signin.app_desk import AppDesk, Seated, seat
from medlock.web.signin.counter import Counter
from medlock.web.signin.factor_desk import FactorDesk
from medlock.web.signin.ports import Desks, Notices
from medlock.web.signin.sign_desk import ProofDesk, SessionDesk, SignInDesk


def desks_of(identity: Identity, server: AuthorizationServer, notices: Notices, words: Words = no_words) -> Desks:
    """All of them; `words`: what passwords may not rest on, beside what an account says of its owner."""
    return Desks(
        SignInDesk(identity.sign_in),
        SessionDesk(identity),
        ProofDesk(Proving(identity.ground, identity.sessions, identity.kit, identity.lockout)),
        FactorDesk(identity.enrolment(words), identity.kit, identity.sessions),
        AppDesk(server),
        notices,
    )


def seated_by(counter: Counter) -> Callable[[Request], Awaitable[Seated]]:
    """Who is signed in, for endpoints that scripts of our pages ask."""

    async def who(request: Request) -> Seated:
        return seat(await counter.who(request))

    return who
