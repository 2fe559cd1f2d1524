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
    ACCESS_REASONS = "record:access-reasons"
    EXPORT = "record:tenant:export"
    LOAD = "record:bundle:load"  # a file was loaded whole; `request` names the receipt
    CREATE = "record:resource:create"
    UPDATE = "record:resource:update"
    PATCH = "record:resource:patch"  # the answer holds the resource
    DELETE = "record:resource:delete"
    SHRED = "record:patient:shred"
    CONSENT_UNCLEAR = "record:consent:unclear"  # it cannot be evaluated, so it denies; whoever asked met it
    BATCH = "record:bundle:batch"
    TRANSACTION = "record:bundle:transaction"
    SIGN_IN = "identity:session:refused"
    SIGN_IN_FAILED = "identity:sign-in:failed"  # a wrong password, code or passkey, by whom it was meant for
    SIGN_IN_WAITS = "identity:sign-in:waits"  # so many failed that the next must wait
    SESSION_START = "identity:session:start"  # `request` names the session, here and below
    SESSION_PROVE = "identity:session:prove"  # its owner proved anew who they are
    SESSION_END = "identity:session:end"
    FACTOR_ADD = "identity:factor:add"
    FACTOR_CHANGE = "identity:factor:change"
    FACTOR_REMOVE = "identity:factor:remove"
    ACCOUNT_CREATE = "identity:account:create"  # `request` names account, version and row, here and below
    ACCOUNT_CHANGE = "identity:account:change"
    ACCOUNT_APPROVE = "identity:account:approve"
    ACCOUNT_DISABLE = "identity:account:disable"
    ACCOUNT_ENABLE = "identity:account:enable"
    ACCOUNT_TAKE_UP = "identity:account:take-up"
    ACCOUNT_INVITE = "identity:account:invite"  # `request` names the account
    ACCOUNT_UNLOCK = "identity:account:unlock"
    TOKEN_CREATE = "admin:token:create"
    TOKEN_REVOKE = "admin:token:revoke"
    CLIENT_REGISTER = "admin:client:register"
    CLIENT_CHANGE = "admin:client:change"
    SIGNING_ROTATE = "admin:signing-key:rotate"
    OAUTH_APPROVE = "oauth:approval:create"  # a person let an app in; `request` names the approval
    OAUTH_REJECT = "oauth:approval:refuse"  # a person did not
    OAUTH_ISSUE = "oauth:token:issue"  # `request` names the token
    OAUTH_END = "oauth:approval:end"  # `request` names the approval, or the one token, that ended
    OAUTH_REFUSED = "oauth:request:refused"
    OAUTH_LAUNCH = "oauth:launch:create"
    LINK_MAKE = "share:link:make"  # `request` names the link and its version, here and below
    LINK_OPEN = "share:link:open"  # it is about to be opened; failed: it was not, and may be again
    LINK_END = "share:link:end"
    KEY_ROTATE = "admin:key:rotate"
    KEY_RATCHET = "admin:key:ratchet"
    KEY_BACKUP = "admin:key:backup"
    BACKUP = "admin:store:backup"  # `request` names the backup
    RESTORE = "admin:store:restore"  # the same
    STORE_OPEN = "admin:store:open"
    STORE_MOVE = "admin:store:move"
    LIMIT = "protect:limit:reach"  # a quota was reached for the first time in its window, or an alarm about one
    GLASS_ASK = "emergency:access:ask"  # refused, or already open
    GLASS_OPEN = "emergency:access:open"  # `request` names the note, here and in the two that follow
    GLASS_END = "emergency:access:end"
    GLASS_REVIEW = "emergency:access:review"
    GLASS_CASES = "emergency:access:list"
    PASSWORD_LIST = "admin:passwords:import"


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
