"""The authorization server: the token endpoint for programs, and the look at a token before every answer.

token         client_credentials over HTTP with a fresh ES384 assertion each, one worker; tokens in a second of its
              processor time, everything included: assertion verified, its jti marked, token sealed, log entry on disk
token_check   what `TokenStore.authenticate` adds to a turn of the event loop that reads a record, as every answer
              does: its row is read again from the file; `alone` is the same in a turn that reads nothing else
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from servers import Bench, Server
from verdict import measure

from medlock.access.principal import Role
from medlock.app import open_app
from medlock.console import settings_for
from medlock.crypto.jose import Signer, new_signer
from medlock.oauth.requests import TokenRequest
from medlock.store.tables import Table

TOKENS = 1_500
LOOKS = 20_000
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MEDLOCK = str(Path(sys.executable).with_name("medlock"))


def oauth_measures(bench: Bench, rounds: int) -> list[dict[str, Any]]:
    """Medians over the rounds."""
    data_dir, signer = bench.fresh("oauth"), new_signer("ES384")
    client = _register(bench, data_dir, signer)
    with bench.medlock(data_dir) as server:
        runs = [_run(bench, server, signer, client, number) for number in range(rounds)]
    by_core = sorted(run["per_core"] for run in runs)[rounds // 2]
    looks = sorted(asyncio.run(_looks(data_dir, Table.BODY)) for _ in range(rounds))
    alone = sorted(asyncio.run(_looks(data_dir, None)) for _ in range(rounds))
    return [
        measure("token", by_core, runs=[round(run["per_second"], 1) for run in runs]),
        measure("token_check", round(looks[rounds // 2], 2), alone=round(alone[rounds // 2], 2)),
    ]


def _register(bench: Bench, data_dir: Path, signer: Signer) -> str:
    """A client with a key; its id."""
    keys = bench.fresh("jwks.json")
    keys.write_text(json.dumps({"keys": [signer.public()]}))
    command = [_MEDLOCK, "client", "register", "Bench", "--kind", "asymmetric", "--jwks", str(keys)]
    command += ["--scope", "system/*.rs", "--json", "--data-dir", str(data_dir)]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    client: str = json.loads(made)["client_id"]
    return client


def _run(bench: Bench, server: Server, signer: Signer, client: str, number: int) -> dict[str, float]:
    """One run: each request once."""
    requests = [_request(server, signer, client, f"{number}-{each}") for each in range(TOKENS)]
    found = bench.ask(server, requests, once=True, connections=16)
    return {"per_second": found["per_second"], "per_core": round(1e6 / found["cpu_us"], 1)}


def _request(server: Server, signer: Signer, client: str, jti: str) -> bytes:
    """A token request as it goes over the wire."""
    now, issuer = int(time.time()), f"http://localhost:{server.port}"
    claims = {"iss": client, "sub": client, "aud": f"{issuer}/oauth/token", "exp": now + 290, "jti": jti}
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Observation.rs",
        "client_assertion_type": _ASSERTION,
        "client_assertion": signer.sign(claims),
    }
    body = urlencode(form).encode()
    head = (
        f"POST /oauth/token HTTP/1.1\r\nhost: localhost:{server.port}\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _looks(data_dir: Path, beside: Table | None) -> float:
    """Microseconds of processor time that one look at a token adds to a turn that reads a row of `beside`."""
    async with open_app(settings_for(data_dir)) as app:
        issued = await app.tokens.create(TokenRequest(Role.CLINICIAN, by="bench"))
        authenticate, turn, get = app.tokens.authenticate, asyncio.sleep, app.records.backend.get
        await authenticate(issued.secret)

        async def without() -> None:
            await turn(0)
            if beside is not None:
                await get(beside, 1)

        async def look() -> None:
            await without()
            await authenticate(issued.secret)

        return await _timed(look) - await _timed(without)


async def _timed(act: Any) -> float:
    began = time.process_time_ns()
    for _ in range(LOOKS):
        await act()
    return (time.process_time_ns() - began) / LOOKS / 1e3
