"""Every request to a page goes through `Counter`: the steps of a visit in one place, in the order that makes them safe.

A handler gets a Visit and answers with a page, one of our addresses, data for a script, or an app's address that oauth
made. What it raises on purpose becomes a page with that sentence. Nobody is told more than that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import orjson
from starlette.requests import Request
from starlette.responses import Response

from medlock.clock import Clock
from medlock.errors import MedlockError, NotAuthenticated, TooMany, Unavailable
from medlock.ids import secret
from medlock.web.declared import Declared, Mounted, Permission
from medlock.web.peer import NEAR, Peers
from medlock.web.ports import Watch
from medlock.web.signin.answers import Answer, Data, Goto, Page
from medlock.web.signin.cookies import BROWSER, DEVICE, SESSION, Cookie, read_cookies
from medlock.web.signin.csrf import check_source, check_token
from medlock.web.signin.form import TYPE, Form, parse_form
from medlock.web.signin.places import sign_in_for, step_up_for
from medlock.web.signin.policy import CLEAR_SITE_DATA, page_headers, static_headers
from medlock.web.signin.ports import Desks, Place, ToApp, Visitor
from medlock.web.signin.render import Look, document
from medlock.web.signin.routes import APPS, FOREIGN_FORMS, STATIC, UNSETTLED, WELCOME
from medlock.web.signin.static import shelf
from medlock.web.signin.visit import Visit
from medlock.web.signin.words import preferred, words

Handler = Callable[[Desks, Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Office:
    """What the pages stand on. `origin` is how browsers name this site: scheme, host, port.

    watch, app_watch   write refusals down: of people, and of what apps ask
    """

    desks: Desks
    clock: Clock
    look: Look
    origin: str
    tls: bool
    watch: Watch
    app_watch: Watch
    peers: Peers = NEAR


class Counter:
    """Makes endpoints of handlers."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def at(self, declared: Declared, handler: Handler) -> Mounted:
        """A handler at its address."""

        async def endpoint(request: Request) -> Response:
            return await self._serve(declared, handler, request)

        return declared.at(endpoint)

    def static(self) -> Mounted:
        """Styles, scripts, the mark."""

        async def endpoint(request: Request) -> Response:
            file = shelf().find(request.path_params["file"])
            if file is None:
                return self._respond(await self._stranger(request), Page("refused.html", {"kind": "gone"}, 404))
            return Response(file.body, media_type=file.media, headers=static_headers(tls=self._office.tls))

        return STATIC.at(endpoint)

    async def who(self, request: Request) -> Visitor:
        """Who is signed in, for a script of ours that asks another endpoint. Raises NotAuthenticated, Foreign."""
        check_source(request.headers, self._office.origin)
        visit = await self._stranger(request)
        visitor = replace(visit, visitor=await self._visitor(visit)).who
        if visitor.unsettled:
            raise NotAuthenticated("Please finish setting up your account.", reason="an account that is not settled")
        return visitor

    async def _serve(self, declared: Declared, handler: Handler, request: Request) -> Response:
        """One visit. Errors that were raised on purpose become pages; all else goes up to the process's boundary."""
        visit = await self._stranger(request)
        try:
            # 1 who: by the cookie, asked of the store on every request
            visit = replace(visit, visitor=await self._visitor(visit))
            # 2 sent by a page of ours: before anything in the request is acted on
            visit = await self._own(declared, request, visit)
            # 3 may they: signed in, enrolled, proven lately
            elsewhere = self._elsewhere(declared, visit)
            # 4 the page
            answer = elsewhere or await handler(self._office.desks, visit)
            if isinstance(answer, ToApp) and answer.reason:
                await self._office.app_watch.refused(f"{declared.path}: {answer.reason}", "page")
            return self._respond(visit, answer)
        except MedlockError as refusal:
            if isinstance(refusal, NotAuthenticated) and declared.permission is not Permission.PUBLIC:
                return self._respond(visit, Goto(sign_in_for(declared, visit)))
            await self._note(declared, refusal)
            return self._refused(visit, refusal)

    async def _note(self, declared: Declared, refusal: MedlockError) -> None:
        """Write a refusal down, with its private reason, before it is told. Raises Unavailable."""
        if refusal.http_status < 500:
            watch = self._office.app_watch if declared in APPS else self._office.watch
            await watch.refused(f"{declared.path}: {refusal.reason}", "page")

    async def _stranger(self, request: Request) -> Visit:
        """The request as nobody's: cookies, address, language; a form not yet read."""
        headers = request.headers
        cookies = read_cookies(headers.get("cookie", ""))
        if BROWSER not in cookies:
            cookies[BROWSER] = ""
        place = Place(
            cookies[BROWSER],
            cookies.get(DEVICE, ""),
            self._office.peers.address(request.scope, dict(request.scope["headers"])),
            headers.get("user-agent", "")[:300],
        )
        query = parse_form(request.scope.get("query_string", b""))
        language = words(preferred(headers.get("accept-language", "")))
        now = self._office.clock.now_ms()
        return Visit(request.method, request.path_params, query, Form(), place, language, cookies, None, now)

    async def _visitor(self, visit: Visit) -> Visitor | None:
        """Whose session the cookie names; nobody's when there is none or it has ended."""
        if SESSION not in visit.cookies:
            return None
        try:
            return await self._office.desks.sessions.find(visit.cookies[SESSION])
        except NotAuthenticated:
            return None

    async def _own(self, declared: Declared, request: Request, visit: Visit) -> Visit:
        """With its form, once it is known to come from a page of ours. Raises Foreign."""
        if visit.method != "POST":
            return visit
        form = parse_form(await request.body()) if _is_form(request) else Form()
        if declared not in FOREIGN_FORMS:
            check_source(request.headers, self._office.origin)
            check_token(form.one("csrf"), visit.bound)
        return replace(visit, form=form)

    def _elsewhere(self, declared: Declared, visit: Visit) -> Goto | None:
        """Where they must go first. Raises NotAuthenticated."""
        if declared.permission is Permission.PUBLIC:
            return None
        visitor = visit.who
        if visitor.unsettled and declared not in UNSETTLED:
            return Goto(WELCOME.path)
        # who is not settled may nothing but enrol, and may have nothing yet to prove it with again (identity.enrolment)
        if declared.permission is Permission.STEP_UP and not visitor.unsettled and not visit.fresh:
            return Goto(step_up_for(declared, visit))
        return None

    def _refused(self, visit: Visit, refusal: MedlockError) -> Response:
        """A page with the refusal's sentence."""
        facts = {"kind": "refused", "sentence": visit.words.say(str(refusal))}
        response = self._respond(visit, Page("refused.html", facts, refusal.http_status))
        if isinstance(refusal, TooMany | Unavailable):
            response.headers["retry-after"] = str(refusal.retry_after)
        return response

    def _respond(self, visit: Visit, answer: Answer) -> Response:
        """The response that an answer stands for."""
        headers = page_headers(tls=self._office.tls, target=answer.target if isinstance(answer, Page) else "")
        cookies = () if isinstance(answer, Data) else getattr(answer, "cookies", ())
        if isinstance(answer, Page):
            if not visit.visitor and not visit.cookies[BROWSER]:
                fresh = Cookie(BROWSER, secret())
                visit = replace(visit, cookies={**visit.cookies, BROWSER: fresh.value})
                cookies = (*cookies, fresh)
            body = document(self._office.look, visit, answer.template, answer.facts)
            more = {"retry-after": str(answer.wait)} if answer.wait else {}
            response = Response(body, answer.status, headers | more, "text/html; charset=utf-8")
        elif isinstance(answer, Data):
            response = Response(orjson.dumps(answer.body), 200, headers, "application/json")
        elif isinstance(answer, Goto):
            more = {"clear-site-data": CLEAR_SITE_DATA} if answer.leaving else {}
            response = Response(status_code=303, headers=headers | more | {"location": answer.path})
        else:
            response = Response(status_code=303, headers=headers | {"location": answer.address})
        for cookie in cookies:
            response.headers.append("set-cookie", cookie.header())
        return response


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == TYPE
