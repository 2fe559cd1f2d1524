"""The demo: a synthetic clinic on this machine, loaded through the same door as real records.

Started again, it finds its clinic and loads nothing. Its passphrase lies beside the data directory, never inside.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import orjson
from rich.progress import Progress

from medlock.access.principal import Principal, Role
from medlock.clock import instant
from medlock.console import aside, people, show_json
from medlock.errors import SetupError
from medlock.fhir.clinic import clinic
from medlock.fhir.query import Kind, SearchQuery, SortKey
from medlock.fhir.question import Interaction, Question
from medlock.identity.services import Identity
from medlock.ids import secret
from medlock.oauth.requests import TokenRequest
from medlock.oauth.tokenrows import IssuedToken
from medlock.oauth.tokens import TokenStore
from medlock.records.opening import Records
from medlock.settings import Settings
from medlock.web.demo_people import Guest, guests


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    @property
    def records(self) -> Records:
        """The records."""

    @property
    def tokens(self) -> TokenStore:
        """The tokens."""

    @property
    def identity(self) -> Identity:
        """The people."""

    def operator(self, role: Role) -> Principal:
        """The operator in one of their roles."""


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


@dataclass(frozen=True, slots=True)
class Demo:
    """Which clinic."""

    seed: int
    patients: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that accepts: its address, its FHIR base, and the certificate to trust (None: a public one)."""

    url: str
    fhir: str
    ca: str | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the demo shows once the server accepts."""

    patients: int
    loaded: int
    token: IssuedToken
    example: str
    settings: Settings
    guests: tuple[Guest, ...] = ()

    def show(self, ready: Ready, *, json: bool) -> None:
        """Print where it is and what to try."""
        expires = instant(self.token.expires)
        if json:
            show_json(
                {
                    "url": ready.url,
                    "ca": ready.ca,
                    "fhir": ready.fhir,
                    "token": self.token.secret,
                    "expires": expires,
                    "patients": self.patients,
                    "accounts": [guest.plain(ready.url) for guest in self.guests],
                }
            )
            return
        console = people()
        done = f"loaded {self.loaded} resources" if self.loaded else "loaded earlier"
        lines = (
            f"A synthetic clinic with {self.patients} patients ({done}) at {ready.fhir}",
            f"Data in {self.settings.data_dir}, passphrase in {self.settings.passphrase_file}",
            f"A clinician's token, good until {expires}:\n\n  {self.token.secret}\n\nTry:\n",
            *(_curl(ready, self.token.secret, request) for request in self.requests()),
            f"\nSign in at {ready.url}/sign-in, as one of them (each code works once):\n",
            *(guest.line(ready.url) for guest in self.guests),
            *_trust(ready),
            "\nCtrl-C stops the server; medlock demo starts it again.",
        )
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)

    def requests(self) -> tuple[str, str, str]:
        """Three requests that have something to show."""
        return (
            "Patient?_count=3",
            f"Observation?patient={self.example}&_sort=-date&_count=5",
            f"Patient/{self.example}/$everything",
        )


def demo_passphrase(settings: Settings) -> Settings:
    """Settings with a passphrase file beside the data directory, made when it is not there. Raises SetupError."""
    directory = settings.data_dir.absolute()
    path = directory.with_name(directory.name + ".passphrase")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secret() + "\n")
    except OSError as fault:
        raise SetupError(f"The demo's passphrase cannot be written to {path}: {fault.strerror}.") from fault
    return replace(settings, passphrase_file=path)


async def prepare_demo(settings: Settings, open_: Open, demo: Demo, now: datetime) -> Prepared:
    """Load the clinic unless it is there, and make a token."""
    async with open_(settings, create=True) as desk:
        loader = desk.operator(Role.LOADER)
        found, example = await _some_patient(desk, loader)
        loaded = 0
        if not found:
            loaded = await _load(desk, loader, demo, now)
            await desk.records.backend.rewrite()
            found, example = await _some_patient(desk, loader)
        token = await desk.tokens.create(TokenRequest(Role.CLINICIAN, loader.account, account="demo-clinician"))
        people_ = await guests(desk.identity, desk.records.door, loader, example)
    return Prepared(found, loaded, token, example, settings, people_)


async def _some_patient(desk: Desk, loader: Principal) -> tuple[int, str]:
    """How many patients there are, and the id of one."""
    name = SortKey("_id", Kind.TOKEN)
    query = SearchQuery("Patient", sort=(name,), count=1, total="accurate", text="_count=1&_sort=_id&_total=accurate")
    shown = await desk.records.door.answer(loader, Question(Interaction.SEARCH, "Patient", query=query))
    bundle: dict[str, Any] = orjson.loads(shown.body)
    entries = bundle.get("entry", [])
    return bundle.get("total", 0), entries[0]["resource"]["id"] if entries else ""


async def _load(desk: Desk, loader: Principal, demo: Demo, now: datetime) -> int:
    """Make the clinic and load it bundle by bundle; how many resources it has."""
    console = aside()
    loaded = 0
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("making the clinic", total=demo.patients)
        for bundle in clinic(demo.seed, demo.patients, today=now.date()):
            question = Question(Interaction.TRANSACTION, body=orjson.dumps(bundle), prefer="minimal")
            await desk.records.door.answer(loader, question)
            loaded += len(bundle["entry"])
            bar.update(task, advance=_patients_in(bundle))
    return loaded


def _patients_in(bundle: dict[str, Any]) -> int:
    """For the bar."""
    return sum(entry["resource"]["resourceType"] == "Patient" for entry in bundle["entry"])


def _trust(ready: Ready) -> tuple[str, ...]:
    """Browsers use passkeys only where they trust the certificate."""
    return (f"\nFor passkeys your browser must trust {ready.ca}.",) if ready.ca else ()


def _curl(ready: Ready, token: str, request: str) -> str:
    """One request for a shell."""
    trust = f"--cacert {ready.ca} " if ready.ca else ""
    return f"  curl {trust}-H 'Authorization: Bearer {token}' '{ready.fhir}/{request}'"
