"""A server process to compare with: `bare`, `unsealed` or `unprotected`. Prints one JSON line when it accepts.

    bare         uvicorn and Starlette with one route that returns given bytes from memory: what the tools can do
    unsealed     the whole server without sealing (see `twins`)
    unprotected  the whole server without any protection

The last two serve an empty data directory, to be filled over HTTP like the product's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from twins import NoLedger, NoLog, OpenDoor, OpenGate, OpenVault, PlainBodies, PlainKeystore

from medlock.access.principal import Role
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.oauth.requests import TokenRequest
from medlock.oauth.tokens import TokenStore
from medlock.records.door import Door
from medlock.records.opening import StoreKeys
from medlock.records.vault import Vault
from medlock.settings import Settings, from_environment
from medlock.store.opening import DATA, make_directory, open_keystore
from medlock.store.sqlite import open_sqlite
from medlock.web.fhir_api import FhirApi, Parts
from medlock.web.listening import listen
from medlock.web.oplog import OpLog
from medlock.web.pipeline import Outer, Site
from medlock.web.reply import Replies
from medlock.web.seat import Seat
from medlock.web.server import Serving, Words, Worker, with_port
from medlock.web.tls import prepare_tls
from medlock.web.watch import RefusalWatch

Announce = Callable[[str], None]


class Variant:
    """The composition root of `unsealed` and `unprotected`; `build` is what `medlock.web.server` calls."""

    def __init__(self, *, protected: bool) -> None:
        self._protected = protected
        self.token = "any"

    @asynccontextmanager
    async def build(self, settings: Settings, _seat: Seat) -> AsyncIterator[ASGIApp]:
        """The site over a new data directory."""
        clock = Clock()
        keystore = open_keystore(settings, clock, create=True)
        keys = StoreKeys(keystore)
        ledger = MerkleLedger(keys, clock.now_ms) if self._protected else NoLedger()
        backend = open_sqlite(settings.data_dir / DATA, ledger)
        log = AuditLog(backend, keys, clock, keystore.set_watermark)
        vault = (Vault if self._protected else OpenVault)(backend, PlainKeystore(keystore))
        vault.bodies = PlainBodies()
        tokens = TokenStore(backend, keystore.tenant, clock, log)
        try:
            yield await self._site(settings, vault, log, tokens)
        finally:
            await backend.close()
            keystore.close()

    async def _site(self, settings: Settings, vault: Vault, log: AuditLog, tokens: TokenStore) -> ASGIApp:
        clock, oplog = Clock(), OpLog(Clock())
        replies = Replies(settings.base_url, tls=settings.tls)
        if self._protected:
            gate, door = tokens, Door(vault, log, clock, settings.base_url, settings.limits)
            self.token = (await tokens.create(TokenRequest(Role.CLINICIAN, "bench"))).secret
        else:
            gate, door = OpenGate(), OpenDoor(vault, NoLog(), clock, settings.base_url, settings.limits)
        watch = RefusalWatch(log, clock)
        parts = Parts(gate, door, watch, replies, settings.limits, settings.base_url, clock, oplog, lambda: b"")
        return Site(FhirApi(parts), Outer(replies, log, oplog, tls=settings.tls).app())


def serve_variant(name: str, settings: Settings, announce: Announce) -> None:
    """Serve until SIGTERM, with the product's own server around it."""
    make_directory(settings.data_dir)
    listener = listen(settings)
    bound = with_port(settings, listener)
    files = prepare_tls(bound, Clock().now()) if bound.tls else None
    variant = Variant(protected=name == "unsealed")
    Worker(Serving(bound, variant.build, files), Seat()).run(
        listener, Words(lambda: announce(_line(bound, files and files.authority, variant.token)))
    )


def serve_bare(bodies: Path, settings: Settings, announce: Announce) -> None:
    """Starlette as it comes, on uvicorn as it comes, with the same certificate."""
    known: dict[str, bytes] = msgspec.msgpack.decode(bodies.read_bytes())

    async def patient(request: Request) -> Response:
        return Response(known[request.path_params["id"]], media_type="application/fhir+json")

    make_directory(settings.data_dir)
    listener = listen(settings)
    bound = with_port(settings, listener)
    files = prepare_tls(bound, Clock().now()) if bound.tls else None
    app = Starlette(routes=[Route("/fhir/Patient/{id}", patient)])
    config = uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="off",
        ssl_certfile=files and files.certificate,
        ssl_keyfile=files and files.key,
    )
    announce(_line(bound, files and files.authority, "any"))  # connections wait in the backlog until it accepts
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listener]))


def _line(settings: Settings, authority: Path | None, token: str) -> str:
    return json.dumps({"url": settings.base_url, "ca": authority and str(authority), "token": token})


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=["bare", "unsealed", "unprotected"])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--bodies", type=Path, help="what `bare` returns: a MessagePack map of id to bytes")
    given = parser.parse_args()
    settings = replace(from_environment(), data_dir=given.data_dir, port=0, tls=given.tls)
    if given.name == "bare":
        serve_bare(given.bodies, settings, lambda line: print(line, flush=True))
    else:
        serve_variant(given.name, settings, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
