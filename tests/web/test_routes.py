"""Every route and method of the site declares its permission: the inventory, the page and the running application agree."""

import json
import re
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from medlock.clock import Clock
from medlock.errors import Denied, SetupError, TooMany
from medlock.fhir.address import ROUTES
from medlock.settings import Limits
from medlock.web.declared import Declared, Face, Permission, Rate
from medlock.web.guard import Guarded, check
from medlock.web.inventory import INVENTORY, rows
from medlock.web.oplog import OpLog
from medlock.web.pipeline import Outer
from medlock.web.reply import Replies
from medlock.web.route_commands import table
from signin.small_site import small_pages
from smart.world import World as SmartWorld
from web.small_sharing import small_sharing
from web.small_world import BASE, Lines, SmallProbe, SmallWorld

PAGE = (Path(__file__).parents[2] / "docs/routes.md").read_text()
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
OPEN = {Permission.PUBLIC, Permission.LOCAL}


def declared(path="/t", methods=("POST",), face=Face.OAUTH, body=100):
    """A route for these tests."""
    return Declared(path, methods, Permission.PUBLIC, Rate.FREE, body=body, face=face)


def outer(*mounted):
    """A site of only these routes."""
    replies, log = Replies(BASE, tls=True), OpLog(Clock(), Lines())
    inventory = [*INVENTORY, *(each.declared for each in mounted)]
    return Outer(replies, SmallProbe(), log, tls=True).app(mounted, inventory)


def asking(app):
    """A client of a site."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://localhost:8443")


async def echo(request: Request):
    return Response(await request.body(), media_type="text/plain")


def test_the_page_is_the_inventory():
    """docs/routes.md has each row of the program and no other; scripts/routes_page.py writes it."""
    assert PAGE[PAGE.index("| address |") :].splitlines() == table(rows(Limits()))


def test_every_row_declares_everything():
    """No row without permission and rate; every address of the FHIR API is there; what is open is on a short list."""
    found = rows(Limits())
    assert len({(row.path, row.method) for row in found}) == len(found)
    assert {(f"/fhir{path}".removesuffix("/"), method) for path, methods in ROUTES.items() for method in methods} <= {
        (row.path, row.method) for row in found
    }
    assert all(row.permission is Permission.TOKEN for row in found if row.interaction)
    open_rows = {row.path for row in found if row.permission in OPEN}
    assert {"/healthz", "/readyz", "/fhir/metadata", "/metrics"} <= open_rows


def test_an_undeclared_route_keeps_the_server_from_starting():
    """A plain route, a mount, and a declaration that the inventory does not list are refused; so is one declared twice."""
    for route in (Route("/x", echo), Mount("/static", routes=[])):
        with pytest.raises(SetupError):
            check([route], INVENTORY)
    mine = declared().at(echo)
    with pytest.raises(SetupError):
        Outer(Replies(BASE, tls=True), SmallProbe(), OpLog(Clock(), Lines()), tls=True).app([mine])
    with pytest.raises(SetupError):
        outer(mine, mine)


def test_the_running_application_has_the_inventory_and_nothing_else():
    """Each route mounted is declared, and each declared one of this site is mounted."""
    routes = SmallWorld(mounted=[*SmartWorld().mounted(), *small_pages(), *small_sharing()]).site._outer.routes
    assert all(isinstance(each, Route) and isinstance(each.endpoint, Guarded) for each in routes)
    assert {each.endpoint.declared for each in routes} <= set(INVENTORY)


def row_is_fhir(path):
    """Whether an address below /fhir asks everybody who they are, whatever the method."""
    return path != "/fhir/metadata" and not path.startswith("/fhir/.well-known/")


async def test_every_route_and_method_of_the_site():
    """A declared route that is not public refuses strangers; an undeclared method is 405 with those that there are."""
    world = SmallWorld(mounted=[*SmartWorld().mounted(), *small_pages(), *small_sharing()])
    by_path = {}
    for row in rows(Limits()):
        by_path.setdefault(row.path, {})[row.method] = row
    async with asking(world.site) as client:
        for path, methods in by_path.items():
            address = re.sub(r"\{(\w+)\}", lambda found: "Patient" if found[1] == "type" else "1", path)
            for method in METHODS:
                row = methods.get("GET" if method == "HEAD" else method)
                answer = await client.request(method, address)
                if path == "/metrics":
                    assert answer.status_code == 404  # another port has it
                elif path.startswith("/fhir") and row_is_fhir(path):
                    assert answer.status_code == 401, (path, method)
                elif row is None:
                    assert answer.status_code == 405, (path, method)
                    assert set(methods) <= set(answer.headers["allow"].split(", "))
                elif row.permission is Permission.PUBLIC:
                    assert answer.status_code < 500
                else:
                    assert answer.status_code in {303, 400, 401, 403}, (path, method)
                assert "Traceback" not in answer.text
                assert answer.headers["x-content-type-options"] == "nosniff"


async def test_bodies_are_bounded_before_a_handler_sees_them():
    """One byte too much is 413 in the declared form; content codings are refused; a route without body reads none."""
    async with asking(outer(declared().at(echo), declared("/none", body=0).at(echo))) as client:
        assert (await client.post("/t", content=b"x" * 100)).content == b"x" * 100
        refused = await client.post("/t", content=b"x" * 101)
        assert (refused.status_code, refused.json()["error"]) == (413, "invalid_request")
        coded = await client.post("/t", content=b"x", headers={"content-encoding": "gzip"})
        assert coded.status_code == 415
        assert (await client.post("/none", content=b"x" * 1000)).content == b""


@pytest.mark.parametrize("face", list(Face))
async def test_refusals_are_told_in_the_declared_form(face):
    """The same errors as OperationOutcome, RFC 6749 JSON, or a page; statuses and headers are the same, and no fault talks."""

    async def deny(_request):
        raise Denied("private reason")

    async def wait(_request):
        raise TooMany("Wait <b>a little</b>.")

    async def fall(_request):
        raise RuntimeError("secret-text")

    made = [declared(f"/{name}", ("GET",), face).at(act) for name, act in [("d", deny), ("w", wait), ("f", fall)]]
    async with asking(outer(*made)) as client:
        answers = [await client.get(path) for path in ("/d", "/w", "/f")] + [await client.post("/d")]
        assert [answer.status_code for answer in answers] == [403, 429, 500, 405]
        assert answers[1].headers["retry-after"]
        assert answers[3].headers["allow"] == "GET, HEAD"
        for answer in answers:
            assert "secret" not in answer.text
            assert "private" not in answer.text
            assert "Traceback" not in answer.text
            assert answer.headers["x-content-type-options"] == "nosniff"
            kind = answer.headers["content-type"]
            if face is Face.FHIR:
                assert answer.json()["resourceType"] == "OperationOutcome"
            elif face is Face.OAUTH:
                assert kind == "application/json"
                assert {"error", "error_description"} == set(answer.json())
            else:
                assert kind.startswith("text/html")
                assert "<b>" not in answer.text


async def test_what_a_handler_sets_itself_is_kept():
    """A page's own policy stands; what it does not say is added."""

    async def page(_request):
        return Response("x", headers={"content-security-policy": "default-src 'self'"})

    async with asking(outer(declared("/p", ("GET",), Face.PAGE).at(page))) as client:
        answer = await client.get("/p")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_the_command_needs_neither_data_nor_keys(tmp_path):
    """`medlock routes --json` lists the same rows on an empty machine."""
    from web.running import medlock  # noqa: PLC0415 - starts a process: only here

    listed = json.loads(medlock(tmp_path / "none", "routes", "--json").stdout)
    assert [(each["path"], each["method"], each["permission"]) for each in listed] == [
        (row.path, row.method, row.permission) for row in rows(Limits())
    ]
    assert not (tmp_path / "none").exists()
