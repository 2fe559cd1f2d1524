"""Who may administer: a person of the role security-admin, in a session of our own pages, who proved it lately.

The session is the one of the sign-in pages; a request that another site made a browser send is refused, GET as well.
Bearer tokens are not taken: no scope of an app means administration. What changes something needs a passkey within five
minutes (`Act.ADMINISTER`).
"""

from __future__ import annotations

from starlette.requests import Request

from medlock.access.principal import Role
from medlock.clock import Clock
from medlock.errors import Denied, NotAuthenticated, OAuthRefused
from medlock.identity.sessions import Session, Sessions
from medlock.identity.strength import Act, demand
from medlock.web.declared import Declared, Permission
from medlock.web.signin.cookies import SESSION, read_cookies
from medlock.web.signin.csrf import check_source


class AdminGate:
    """Lets administrators in. `origin`: how browsers name this site."""

    def __init__(self, sessions: Sessions, clock: Clock, origin: str) -> None:
        self._sessions = sessions
        self._clock = clock
        self._origin = origin

    async def admit(self, declared: Declared, request: Request) -> Session:
        """Whose request this is. Raises Foreign, OAuthRefused (login_required), Denied, StepUpNeeded."""
        check_source(request.headers, self._origin)
        session = await self._session(request)
        if Role.SECURITY_ADMIN not in session.roles:
            raise Denied(f"{session.account} administers nothing")
        if declared.permission is Permission.ADMIN_PROVEN:
            demand(Act.ADMINISTER, session.acr, session.proven, self._clock.now_ms())
        return session

    async def _session(self, request: Request) -> Session:
        """The session that the cookie names, of somebody who is settled. Raises OAuthRefused."""
        secret = read_cookies(request.headers.get("cookie", "")).get(SESSION, "")
        try:
            session = await self._sessions.find(secret)
        except NotAuthenticated as refusal:
            raise _nobody(refusal.reason) from None
        if session.unsettled:
            raise _nobody("an account that is not settled")
        return session


def _nobody(reason: str) -> OAuthRefused:
    return OAuthRefused("login_required", "Please sign in.", reason=reason, status=401)
