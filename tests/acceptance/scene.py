"""A data directory with a past.

The past has what verification must not stumble over: transactions, single writes, updates, deletes, resources of two
patients, one that changed owner, folds of indexes, tokens made and ended, receipts, an erased patient, a ratchet.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.fhir.clinic import clinic
from medlock.fhir.question import Interaction
from medlock.ids import random_bytes
from medlock.oauth.requests import TokenRequest
from medlock.oauth.tokenrows import IssuedToken
from medlock.oauth.tokens import TokenStore
from medlock.records.rotate import ALL, Rotated, Rotator
from medlock.records.shred import Erased, Shredder
from medlock.store.content import CHUNK
from medlock.store.tables import Batch
from records.world import World, clinician, open_world

TODAY = date(2026, 1, 1)
SCALE = int(os.environ.get("MEDLOCK_ACCEPTANCE", "1"))
"""Multiplies the number of cases, for long runs."""
DATA, KEYS = "medlock.db", "keystore.db"


def eraser() -> Principal:
    """Who may erase a patient."""
    return mint_principal("officer", frozenset({Role.PRIVACY_OFFICER}), parse_scopes("user/AuditEvent.rs"))


def loader() -> Principal:
    """Who may load files."""
    return mint_principal("loader", frozenset({Role.LOADER}), parse_scopes("system/*.cruds"), purpose="HOPERAT")


def weight(id_: str, who: str, kilos: float, **more: Any) -> dict[str, Any]:
    """A body weight."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": "2024-05-06",
        "valueQuantity": {"value": kilos, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **more,
    }


def note(size: int) -> dict[str, Any]:
    """A note that no compression makes shorter than this."""
    return {"note": [{"text": random_bytes(size).hex()}]}


def tokens_of(world: World) -> TokenStore:
    """The tokens of a world."""
    return TokenStore(world.backend, world.keystore.tenant, world.clock, world.log)


async def shred(world: World, patient: str) -> Erased:
    """Erase a patient."""
    return await Shredder(world.vault, world.log, world.clock).shred(eraser(), patient)


def rotator(world: World) -> Rotator:
    """Somebody who rotates keys and does not wait for readers, since there are none but ourselves."""
    return Rotator(world.vault, world.log, world.clock, world.directory, "root", drain=0)


async def rotate(world: World, who: str = "") -> Rotated:
    """Rotate one patient's key, or everybody's."""
    mine = rotator(world)
    return await mine.rotate(await mine.slot_of(who) if who else ALL, lambda _done, _total: None)


class Stop(BaseException):
    """The end of a process, as far as memory is concerned."""


def stopping(world: World, after: int) -> None:
    """Let this world live for so many commits."""
    commit, left = world.backend.commit, [after]

    async def counted(batch: Batch) -> int:
        if not left[0]:
            raise Stop
        left[0] -= 1
        return await commit(batch)

    world.backend.commit = counted  # type: ignore[method-assign]


async def end(world: World) -> None:
    """Stop as a server stops: with the log signed."""
    await world.log.seal_checkpoint()
    await world.close()


@dataclass
class Past:
    """A stopped directory and copies of it from earlier, oldest first."""

    directory: Path
    earlier: list[Path] = field(default_factory=list)
    erased: str = "erin"

    def keep(self) -> None:
        """Copy the directory as it is now."""
        kept = self.directory.with_name(f"{self.directory.name}-{len(self.earlier)}")
        shutil.copytree(self.directory, kept)
        self.earlier.append(kept)


async def live_through(root: Path, reads: int, made: type[Past] = Past) -> Past:
    """Make a directory and everything that happened to it, with so many reads among it."""
    past = made(root / "data")
    await _found(past)
    past.keep()
    await _go_on(past, reads)
    past.keep()
    await _grow_old(past)
    return past


async def renew(past: Past, halfway: int = 0) -> None:
    """Keys are rotated twice, life goes on in between; the second time perhaps only so many commits far."""
    world = await open_world(past.directory)
    await rotate(world)
    await world.put(weight("long", "ann", 8, **note(1_900)))
    await world.put(weight("both", "bob", 7, performer=[{"reference": "Patient/ann"}]))
    await world.put({"resourceType": "Patient", "id": "bob", "name": [{"family": "Another"}]})
    await end(world)
    past.keep()
    world = await open_world(past.directory)
    if halfway:
        stopping(world, halfway)
    try:
        await rotate(world)
    except Stop:
        await world.close()
        return
    await end(world)


async def _found(past: Past) -> None:
    """A clinic is loaded, a patient comes who will leave, tokens and receipts are made."""
    world = await open_world(past.directory)
    for bundle in clinic(5, 4, today=TODAY):
        await world.transact(bundle["entry"])
    for name in ("erin", "ann", "bob"):
        await world.put({"resourceType": "Patient", "id": name, "name": [{"family": name}], "birthDate": "1980-02-03"})
    for number in range(40):
        await world.put(weight(f"e{number}", "erin", 60 + number))
    for number in range(12):
        await world.put(weight(f"a{number}", "ann", 70 + number, performer=[{"reference": "Patient/bob"}]))
        await world.put(weight(f"b{number}", "bob", 80 + number, performer=[{"reference": "Patient/erin"}]))
    await world.put(weight("both", "erin", 1, performer=[{"reference": "Patient/ann"}]))
    await world.put(weight("moved", "erin", 2))
    await world.put(weight("moved", "erin", 3, **note(1_200)))
    for number in range(4):  # long enough for several rows each, in several versions
        await world.put(weight("long", "ann", number, **note(1_500 * number + 1)))
        await world.put(weight("gone", "erin", number, **note(800)))
    await world.bring("PUT /Binary/film", random_bytes(CHUNK + 100), x_security_context="Patient/bob")
    await world.bring("PUT /Binary/lost", random_bytes(100), x_security_context="Patient/erin")
    await _issue(world, 6)
    for number in range(6):
        await world.door.give_receipt(loader(), b"%032d" % number)
    await end(world)


async def _issue(world: World, count: int) -> list[IssuedToken]:
    tokens = tokens_of(world)
    return [await tokens.create(TokenRequest(Role.CLINICIAN, "root", account=f"dr-{n}")) for n in range(count)]


async def _go_on(past: Past, reads: int) -> None:
    """Updates, deletes, a change of owner, folds, revocations, and people who read."""
    world = await open_world(past.directory)
    await world.put(weight("moved", "ann", 4))
    await world.put(weight("moved", "ann", 5))
    for number in range(12):
        await world.put(weight(f"a{number}", "ann", 90 + number))
        await world.put(weight(f"b{number}", "bob", 95 + number))
        await world.ask(clinician(), Interaction.DELETE, "Observation", f"b{number}")
    await world.put({"resourceType": "Patient", "id": "ann", "name": [{"family": "Other"}], "gender": "female"})
    for number in range(40):
        await world.put(weight(f"c{number}", "bob", 60 + number))
    await world.bring("PUT /Binary/film", random_bytes(100), x_security_context="Patient/bob")
    for token in (await tokens_of(world).every())[:3]:
        await tokens_of(world).revoke(token.id, "root")
    for start in range(0, reads, 200):
        readers = (world.read(clinician(), f"Observation/a{n % 12}") for n in range(start, min(reads, start + 200)))
        await asyncio.gather(*readers)
    await world.log.index_run()
    await end(world)


async def _grow_old(past: Past) -> None:
    """A patient is erased, keys are wrapped anew, life goes on."""
    world = await open_world(past.directory)
    await shred(world, past.erased)
    world.keystore.ratchet()
    await world.put(weight("both", "ann", 6))
    await world.put(weight("long", "ann", 7, **note(900)))
    for number in range(12):
        await world.put(weight(f"a{number}", "ann", 100 + number))
    await world.door.give_receipt(loader(), b"%032d" % 99)
    await _issue(world, 2)
    await world.ask(clinician(), Interaction.DELETE, "Observation", "moved")
    await end(world)
