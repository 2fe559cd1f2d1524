"""Labels anew: every current version in the store, looked at by the rules of this release.

For stores that were written before there were rules, or under former ones. What is labelled as it should be is left
alone; what is not becomes a new version, a record at a time, beside whoever reads and writes. Versions in the history
stay as they are: those that nobody looked at are of unknown sensitivity, and who may see normal data only does not see
them. Then whatever is sensitive, with its past, is sealed apart where it does not lie so yet (`records.apart`). Killed
at any moment, it goes on when it is started again: what is done needs no doing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from medlock.access.consent.codes import LABELLED
from medlock.access.principal import Principal, Role
from medlock.audit.events import Event, Outcome, Position
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.errors import Conflict, Denied, NotFound, Raced
from medlock.fhir.parse import parse_json
from medlock.fhir.question import Interaction, Question
from medlock.ids import random_bytes
from medlock.records.apart import Parting
from medlock.records.commit import Committer
from medlock.records.drafts import Draft
from medlock.records.labelling import as_draft, label, label_episodes
from medlock.records.scribe import Scribe, Whom
from medlock.records.turns import in_turns
from medlock.records.unclear import Told
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened
from medlock.store.tables import Batch

_TOGETHER = 200
_TRIES = 8


class Relabelled(NamedTuple):
    """What was done: records looked at, resources with new labels, rows that were sealed apart."""

    records: int = 0
    changed: int = 0
    moved: int = 0


class Relabeller:
    """Looks at every record. `progress` is told how many records are done and how many resources changed."""

    def __init__(self, vault: Vault, log: AuditLog, clock: Clock, principal: Principal) -> None:
        if Role.PRIVACY_OFFICER not in principal.roles:
            raise Denied("only a privacy officer labels anew")
        self._vault = vault
        self._log = log
        self._clock = clock
        self._principal = principal

    async def relabel(self, progress: Callable[[int, int], None] = lambda *_: None) -> Relabelled:
        """Look at all records. Raises Conflict where others write faster than we look, Tampered."""
        await self._vault.directory.refresh()
        done = Relabelled()
        for slot in [TENANT, *self._vault.directory.slots()]:
            changed = await self._record(slot)
            moved = await self._part(slot) if slot != TENANT else 0
            done = Relabelled(done.records + 1, done.changed + changed, done.moved + moved)
            progress(done.records, done.changed)
        await self._vault.backend.scrub()  # what was sealed anew is not left in a journal as it was
        return done

    async def _part(self, slot: int) -> int:
        """Seal apart what belongs so in one record; again when somebody wrote it meanwhile."""
        moved = 0
        for _ in range(_TRIES):
            try:
                keys = self._vault.sealing_keys(await self._vault.capsules.open(slot))
                parting = Parting(self._vault, self._log, keys, self._witness)
                async for count in parting.moved():
                    moved += count
            except Raced:
                continue
            except NotFound:  # erased a moment ago
                pass
            return moved
        raise Conflict("A record is being changed by many at once; run the command again.")

    def _witness(self, position: Position, patient: str, _line: int) -> Event:
        return self._scribe().event(Outcome.SUCCESS, Whom(position.slot, patient), position=position)

    async def _record(self, slot: int) -> int:
        """One record; again when somebody wrote it meanwhile."""
        for _ in range(_TRIES):
            try:
                drafts = await self._drafts(slot)
                for start in range(0, len(drafts), _TOGETHER):
                    await self._committer().commit(drafts[start : start + _TOGETHER])
            except Raced:
                continue
            except NotFound:  # erased a moment ago
                return 0
            return len(drafts)
        raise Conflict("A record is being changed by many at once; run the command again.")

    def _scribe(self) -> Scribe:
        asked = Question(Interaction.UPDATE, "Patient")
        return Scribe(self._principal, asked, self._clock.now_ms(), random_bytes(16).hex(), "labels")

    def _committer(self) -> Committer:
        return Committer(self._vault, self._log, self._scribe(), Batch(), Told(self._vault, self._log))

    async def _drafts(self, slot: int) -> list[Draft]:
        """The drafts of what is not labelled as it should be."""
        drafts: list[Draft] = []
        former: dict[str, tuple[str, ...]] = {}
        async for opened in in_turns(await self._current(slot)):
            draft = as_draft(opened)
            label(draft, parse_json(opened.body))
            former[opened.meta.reference] = opened.meta.labels
            drafts.append(draft)
        await label_episodes(self._vault, drafts)
        return [each for each in drafts if each.security or LABELLED not in former[f"{each.type}/{each.id}"]]

    async def _current(self, slot: int) -> Iterable[Opened]:
        """Every current version that this index owns, but for a Binary whose content lies apart: it has no codes."""
        capsule = await self._vault.capsules.open(slot)
        rows = capsule.living()
        found: list[Opened] = []
        for start in range(0, len(rows), _TOGETHER):
            some = await self._vault.fetch(rows[start : start + _TOGETHER])
            found += [each for each in some if each is not None and each.content is None]
        return found
