"""The pages over the small clinic: an ASGI application, and a browser that keeps cookies and sends what browsers send."""

import html
import re

import httpx

from medlock.clock import Clock
from medlock.web.inventory import INVENTORY
from medlock.web.oplog import OpLog
from medlock.web.pipeline import Outer
from medlock.web.reply import Replies
from medlock.web.signin.counter import Counter, Office
from medlock.web.signin.mount import mounted
from medlock.web.signin.render import Look
from signin.small_desks import World
from web.small_world import BASE, Lines, SmallProbe, SmallWatch

ORIGIN = BASE.removesuffix("/fhir")
TOKEN = re.compile(r'name="csrf" value="([^"]*)"')


def small_pages():
    """Every page, over a small clinic of its own."""
    world = World()
    return mounted(Counter(office(world, ORIGIN)))


def office(world, origin):
    """What the pages stand on."""
    watch = SmallWatch()
    world.noted = watch.reasons
    return Office(world.desks(), world.clock, Look("medlock"), origin, True, watch, watch)  # noqa: FBT003 - TLS


def site(world, origin=ORIGIN):
    """The application."""
    outer = Outer(Replies(origin + "/fhir", tls=True), SmallProbe(), OpLog(Clock(), Lines()), tls=True)
    return outer.app(mounted(Counter(office(world, origin))), INVENTORY)


class Browser:
    """Cookies by name, the last page, and forms sent as our own pages send them."""

    def __init__(self, app):
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url=ORIGIN
        )
        self.cookies = {}
        self.last = None

    async def get(self, path, **headers):
        """A page."""
        return await self._ask("GET", path, headers)

    async def follow(self):
        """The next page, where the last answer sends us."""
        return await self.get(self.last.headers["location"])

    async def post(self, path, fields=None, *, headers=None, csrf=True):
        """A form; with the token of the page before, unless `csrf` is something else."""
        data = {**({"csrf": self.token} if csrf is True else {"csrf": csrf} if csrf else {}), **(fields or {})}
        given = {"origin": ORIGIN, "sec-fetch-site": "same-origin"} if headers is None else headers
        return await self._ask("POST", path, given, data)

    @property
    def token(self):
        """The form token on the last page."""
        found = TOKEN.search(self.page)
        return html.unescape(found[1]) if found else ""

    async def _ask(self, method, path, headers, data=None):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = headers | ({"cookie": cookie} if cookie else {})
        self.client.cookies.clear()
        self.last = await self.client.request(method, path, headers=given, data=data)
        for each in self.last.headers.get_list("set-cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value:
                self.cookies[name] = value
        if "text/html" in self.last.headers.get("content-type", ""):
            self.page = self.last.text
        return self.last

    page = ""

    async def sign_in(self, to=""):
        """As Ann, by password, wherever that leads."""
        await self.get(f"/sign-in?to={to}" if to else "/sign-in")
        await self.post("/sign-in", {"username": "ann@example.org", "password": "right horse", "to": to})
        return self.last
