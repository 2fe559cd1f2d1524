"""A small clinic behind a real door: real keys, a real database, a real log. Only the time is handed in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medlock.access.consent.ruling import PERMISSIVE, Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.fhir.form import pairs
from medlock.fhir.grammar import parse_search
from medlock.fhir.question import Interaction, Preconditions, Question
from medlock.fhir.request import Frame, Request, continued, parse
from medlock.records.disclosure import Disclosure
from medlock.records.door import Door
from medlock.records.holders import is_list
from medlock.records.opening import StoreKeys as Keys
from medlock.records.vault import Vault
from medlock.records.verify_bodies import scan
from medlock.settings import Limits, Settings
from medlock.store.backends import open_backend
from medlock.store.kek.passphrase import Cost, PassphraseFile
from medlock.store.keystore import Keystore
from medlock.store.tables import Backend, Table

BASE = "https://localhost:8443/fhir"
START = 1_760_000_000_000


class StillClock(Clock):
    """Time moves a second per look, so that versions have an order."""

    def __init__(self) -> None:
        self.ms = START

    def now_ms(self) -> int:
        self.ms += 1_000
        return self.ms


def clinician() -> Principal:
    """Everybody's clinical records."""
    return mint_principal("dr-a", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"))


def patient(id_: str, scopes: str = "patient/*.rs") -> Principal:
    """Held to one record."""
    return mint_principal(f"person-{id_}", frozenset({Role.PATIENT}), parse_scopes(scopes), patient=id_)


def loader() -> Principal:
    """A program that brings records in."""
    return mint_principal("loader", frozenset({Role.LOADER}), parse_scopes("system/*.cruds"), purpose="HOPERAT")


def writer(resources: Sequence[dict[str, Any]]) -> Principal:
    """Who writes these unless it is said: a clinician; Consents, which clinicians only read, a program brings."""
    consents = any(each.get("resourceType") == "Consent" for each in resources)
    return loader() if consents else clinician()


def officer() -> Principal:
    """Privacy officer."""
    return mint_principal("officer", frozenset({Role.PRIVACY_OFFICER}), parse_scopes("user/AuditEvent.rs"))


def provider(directory: Path) -> PassphraseFile:
    """A passphrase file beside the data directory, cheap to stretch."""
    path = directory.parent / f"{directory.name}.passphrase"
    if not path.exists():
        path.write_text("correct horse battery staple\n")
        path.chmod(0o600)
    return PassphraseFile(path, directory, Cost(memory_kib=64, iterations=1))


@dataclass
class World:
    """One process on a data directory."""

    directory: Path
    keystore: Keystore
    backend: Backend
    log: AuditLog
    vault: Vault
    door: Door
    clock: StillClock = field(default_factory=StillClock)

    async def ask(
        self, who: Principal, interaction: Interaction, type_: str = "", id_: str = "", **more: Any
    ) -> Disclosure:
        """One question through the door."""
        return await self.door.answer(who, Question(interaction, type_, id_, **more))

    async def send(self, who: Principal, line: str, body: Any = b"", **headers: str) -> Disclosure:
        """One HTTP request: `line` is its method and what follows the base, `body` bytes or a resource."""
        method, _, url = line.partition(" ")
        path, _, query = url.partition("?")
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/fhir+json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        raw = {name.encode(): value.encode() for name, value in sent.items()}
        frame = Frame(self.clock.now_ms(), 1_000, BASE)
        return await self.door.answer(who, parse(Request(method, path.encode(), query.encode(), raw, data), frame))

    async def bring(self, line: str, content: bytes, **headers: str) -> Disclosure:
        """A content of a Binary that comes in pieces."""
        method, _, path = line.partition(" ")
        sent = {b"content-type": b"video/mp4"} | {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
        frame = Frame(self.clock.now_ms(), 1_000, BASE)
        question = parse(Request(method, path.encode(), b"", sent, flows=True), frame)

        async def arriving() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 65_536):
                yield content[start : start + 65_536]

        return await self.door.answer(clinician(), question, arriving=arriving())

    async def put(self, resource: dict[str, Any], who: Principal | None = None, **conditions: str) -> dict[str, Any]:
        """PUT under the resource's own id; what came back."""
        shown = await self.ask(
            who or writer([resource]),
            Interaction.UPDATE,
            resource["resourceType"],
            resource["id"],
            body=json.dumps(resource).encode(),
            preconditions=Preconditions(**conditions),
        )
        return json.loads(shown.body)

    async def read(self, who: Principal, reference: str) -> dict[str, Any]:
        """GET Type/id."""
        type_, _, id_ = reference.partition("/")
        return json.loads((await self.ask(who, Interaction.READ, type_, id_)).body)

    async def search(self, who: Principal, type_: str, text: str) -> dict[str, Any]:
        """GET Type?text; the Bundle."""
        query = parse_search(type_, pairs(text.encode()), now_ms=self.clock.now_ms(), max_count=1000, base_url=BASE)
        return json.loads((await self.ask(who, Interaction.SEARCH, type_, query=query)).body)

    async def search_across(self, who: Principal, text: str, within: str = "", type_: str = "") -> dict[str, Any]:
        """GET [base]?text, or GET Patient/within/type?text, all types when none is given; the Bundle."""
        frame = Frame(self.clock.now_ms(), 1000, BASE)
        interaction = Interaction.SEARCH if type_ else Interaction.SEARCH_SYSTEM
        query, _ = continued(interaction, type_, within, text, frame)
        return json.loads((await self.ask(who, interaction, type_, within, query=query)).body)

    async def transact(self, entries: Sequence[dict[str, Any]], who: Principal | None = None) -> dict[str, Any]:
        """POST a transaction; the response Bundle."""
        who = who or writer([each.get("resource", {}) for each in entries])
        body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}).encode()
        return json.loads((await self.ask(who, Interaction.TRANSACTION, body=body)).body)

    async def close(self) -> None:
        """Stop as a process stops."""
        await self.backend.close()
        self.keystore.close()


def ids(bundle: dict[str, Any]) -> set[str]:
    """Type/id of every entry."""
    return {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle.get("entry", [])}


async def notes_left(vault: Vault) -> list[bytes]:
    """Names of all notes but the pages of the list of consents, which is always there."""
    found = [vault.notes.open(key, ct)[0] async for key, ct in scan(vault.backend, Table.JOB)]
    return [name for name in found if not is_list(name)]


def store_of(directory: Path) -> str:
    """The address of the database that holds a directory's rows; empty when a file does."""
    path = directory.with_name(f"{directory.name}.store")
    return path.read_text() if path.exists() else ""


async def open_world(
    directory: Path, limits: Limits | None = None, store: str = "", site: Site = PERMISSIVE, keys: Any = None
) -> World:
    """Start a process on a data directory, making it when it is new.

    Its rows lie in the database `store`, or in the one whose address lies beside the directory, if any. `keys` are what
    it has of the keystore, when that is not the whole.
    """
    directory.mkdir(exist_ok=True)
    store = store or store_of(directory)
    path = directory / "keystore.db"
    kek = provider(directory)
    keystore = keys or (Keystore.open(path, kek) if path.exists() else Keystore.create(path, kek))
    keys = Keys(keystore)
    clock = StillClock()
    ledger = MerkleLedger(keys, clock.now_ms)
    backend = await open_backend(Settings(directory, store=store), ledger, keystore.store_id)
    log = AuditLog(backend, keys, clock, keystore.set_watermark)
    vault = Vault(backend, keystore)
    await vault.directory.load()
    door = Door(vault, log, clock, BASE, limits or Limits(), site=site)
    return World(directory, keystore, backend, log, vault, door, clock)
