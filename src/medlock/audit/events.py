"""What is written down, as typed events. Every channel logs: reads, searches, writes, denials, admin acts.

Structs, not dataclasses: one is made for every answer, and a frozen dataclass of this size costs five times more.
Touched and Position are arrays, because that is how they are sealed.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Action(StrEnum):
    """`area:thing:action`; no bare strings elsewhere."""

    READ = "record:resource:read"
    VREAD = "record:resource:vread"
    HISTORY = "record:resource:history"
    HISTORY_TYPE = "record:type:history"
    HISTORY_SYSTEM = "record:tenant:history"
    SEARCH = "record:resource:search"
    EVERYTHING = "record:patient:everything"
    VALIDATE = "record:resource:validate"
    DOCREF = "record:patient:docref"
    LASTN = "record:patient:lastn"
    MATCH = "record:patient:match"
    EXPORT = "record:tenant:export"
    LOAD = "record:bundle:load"  # a file was loaded whole; `request` names the receipt
    CREATE = "record:resource:create"
    UPDATE = "record:resource:update"
    PATCH = "record:resource:patch"  # the answer holds the resource
    DELETE = "record:resource:delete"
    SHRED = "record:patient:shred"
    BATCH = "record:bundle:batch"
    TRANSACTION = "record:bundle:transaction"
    SIGN_IN = "identity:session:refused"
    TOKEN_CREATE = "admin:token:create"
    TOKEN_REVOKE = "admin:token:revoke"
    KEY_ROTATE = "admin:key:rotate"
    KEY_RATCHET = "admin:key:ratchet"
    KEY_BACKUP = "admin:key:backup"
    BACKUP = "admin:store:backup"  # `request` names the backup
    RESTORE = "admin:store:restore"  # the same
    STORE_OPEN = "admin:store:open"
    STORE_MOVE = "admin:store:move"
    LIMIT = "protect:limit:reach"  # a quota was reached for the first time in its window, or an alarm about one


class Outcome(StrEnum):
    """What came of it."""

    SUCCESS = "success"
    DENIED = "denied"
    FAILED = "failed"


class Touched(msgspec.Struct, array_like=True, frozen=True):
    """One resource that was disclosed or changed: `Type/id`, the version, and what happened to it (C R U D)."""

    reference: str
    version: int
    crud: str


class Position(msgspec.Struct, array_like=True, frozen=True):
    """Where an index stood after a write: makes the store, not only the log, tamper-evident.

    `slot` 0 is the tenant; `number` counts its deltas; `tag` is the last delta's authentication tag.
    """

    slot: int
    number: int
    tag: bytes


class Event(msgspec.Struct, frozen=True):
    """One thing that happened, about at most one patient (an act that touches several makes one Event each).

    `slot` 0 and `patient` "" when no patient is concerned. `query` and `reason` may hold patient data: they are
    sealed with the patient's copy and die with it. `reason` is the private reason of a denial.
    `request` ties together the Events of one act.
    """

    action: Action
    outcome: Outcome
    account: str
    roles: tuple[str, ...]
    client: str
    purpose: str
    recorded: int
    request: str
    slot: int = 0
    patient: str = ""
    touched: tuple[Touched, ...] = ()
    query: str = ""
    reason: str = ""
    basis: str = ""
    position: Position | None = None
