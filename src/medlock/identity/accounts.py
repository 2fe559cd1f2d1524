"""Accounts: made, found, changed, disabled. Every change is one commit with its event, and acts on the next request.

    account    row under the id            login    user name → id, once        person   record → id, once

Names are rows of their own that can be inserted once, so two accounts never share a user name or a record, however
many try at the same moment. A change that allows less (disabled, other roles, another record, fewer proxies) takes back
in the same commit what the account was given (`endings`). Refusals do not say what there is: only who may make accounts
learns that a name is taken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from medlock.access.principal import Role
from medlock.access.roles import TREATS
from medlock.audit.events import Action
from medlock.errors import Conflict, NotAuthenticated, NotFound, Raced
from medlock.identity.account import (
    Account,
    Proxy,
    Status,
    canonical_login,
    checked_name,
    checked_resource,
    checked_roles,
)
from medlock.identity.endings import Endings, all_of
from medlock.identity.ground import Ground, again
from medlock.identity.two_persons import needs_second, refuse_approval, resting
from medlock.ids import random_bytes
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

ID_BYTES = 10
_TAG = slice(-16, -8)
"""The first half of a row's authentication tag: names this very row in the log."""


class Named(msgspec.Struct, frozen=True, array_like=True):
    """Whose name this is."""

    account: str


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account is made of. `login` "" is chosen by whoever takes up the invitation."""

    name: str
    roles: tuple[str, ...]
    login: str = ""
    resource: str = ""
    organisations: tuple[str, ...] = ()
    birth: str = ""


class Accounts:
    """All accounts of a store."""

    def __init__(self, ground: Ground, endings: Sequence[Endings] = (), *, two_persons: bool = False) -> None:
        self._two_persons = two_persons
        self._ground = ground
        self._endings = endings
        self._rows = ground.cabinet.drawer("account", Account)
        self._logins = ground.cabinet.drawer("login", Named)
        self._persons = ground.cabinet.drawer("person", Named)

    async def held(self, account_id: str) -> Held[Account]:
        """An account as it is now. Raises NotFound."""
        found = await self._rows.get(self._rows.key(account_id))
        if found is None:
            raise NotFound("There is no such account; medlock account list shows them.")
        return found

    async def get(self, account_id: str) -> Account:
        """The same without its row. Raises NotFound."""
        return (await self.held(account_id)).value

    async def by_login(self, login: str) -> Held[Account] | None:
        """The account with this user name, in canonical form. Asks as much when there is none."""
        named = await self._logins.get(self._logins.key(login))
        return await self._rows.get(self._rows.key(named.value.account if named else ""))

    async def by_person(self, reference: str) -> Held[Account] | None:
        """The account of this Patient, Practitioner or RelatedPerson."""
        named = await self._persons.get(self._persons.key(reference))
        return None if named is None else await self._rows.get(self._rows.key(named.value.account))

    async def standing(self, account_id: str) -> Held[Account]:
        """An account that may act now. Raises NotAuthenticated."""
        found = await self._rows.get(self._rows.key(account_id))
        if found is None or found.value.status is not Status.ACTIVE:
            raise NotAuthenticated("Sign in again.", reason=f"account {account_id} is not there or not active")
        return found

    def unchanged(self, held: Held[Account]) -> Batch:
        """For what is issued for an account: it is as it was read, or the commit loses."""
        return self._rows.unchanged(held)

    async def every(self) -> AsyncIterator[Account]:
        """All of them, in no order."""
        async for held in self._rows.every():
            yield held.value

    async def create(self, new: NewAccount, by: str) -> Account:
        """A new account, which nobody has taken up yet. Raises BadRequest, Conflict, Unavailable."""
        roles = checked_roles(new.roles)
        now = self._ground.clock.now_ms()
        account = Account(
            random_bytes(ID_BYTES).hex(),
            1,
            canonical_login(new.login) if new.login else "",
            checked_name(new.name),
            roles,
            Status.INVITED,
            now,
            now,
            checked_resource(new.resource, roles),
            organisations=new.organisations,
            birth=new.birth,
        )
        account = self._waiting(account, (), by)
        batch = self._rows.insert(self._rows.key(account.id), account) + self._names(account)
        try:
            await self._commit(Action.ACCOUNT_CREATE, account, batch, by)
        except Raced:
            raise Conflict("There is an account with this user name, or for this record, already.") from None
        return account

    def _waiting(self, account: Account, former: tuple[Role, ...], by: str) -> Account:
        """The account as it stands when an operator has given it its roles: it may wait for another one."""
        asks = needs_second(account, former, by, everybody=self._two_persons)
        asked = by if asks else account.asked if not TREATS.isdisjoint(account.roles) else ""
        given = replace(account, asked=asked)
        return given if account.status is Status.DISABLED else replace(given, status=resting(given))

    async def approve(self, account_id: str, by: str) -> Account:
        """What an account waits for is approved by another operator. Raises Conflict, NotFound, Unavailable."""

        async def once() -> Account:
            held = await self.held(account_id)
            refuse_approval(held.value, by)
            batch, account = self.replaced(held, asked="", status=resting(replace(held.value, asked="")))
            await self._commit(Action.ACCOUNT_APPROVE, account, batch, by)
            return account

        return await again(once)

    async def disable(self, account_id: str, by: str) -> Account:
        """From the next request on nothing that was given to it counts. Raises NotFound, Unavailable."""
        return await self.change(account_id, by, Action.ACCOUNT_DISABLE, status=Status.DISABLED)

    async def enable(self, account_id: str, by: str) -> Account:
        """It may sign in again; if nobody has ever taken it up, an invitation may be. Raises NotFound, Unavailable."""
        return await self.change(account_id, by, Action.ACCOUNT_ENABLE, status=resting)

    async def set_roles(self, account_id: str, roles: tuple[str, ...], by: str) -> Account:
        """Another job. Raises BadRequest, NotFound, Unavailable."""
        checked = checked_roles(roles)
        checked_resource((await self.get(account_id)).resource, checked)

        def given(account: Account) -> Account:
            return self._waiting(replace(account, roles=checked), account.roles, by)

        return await self.change(
            account_id,
            by,
            roles=checked,
            asked=lambda account: given(account).asked,
            status=lambda account: given(account).status,
        )

    async def represent(self, account_id: str, proxy: Proxy, by: str) -> Account:
        """They stand in for a patient; who stood in for the same one does so on the new terms. Raises NotFound."""

        def proxies(account: Account) -> tuple[Proxy, ...]:
            return (*(each for each in account.proxies if each.patient != proxy.patient), proxy)

        return await self.change(account_id, by, proxies=proxies)

    async def dismiss(self, account_id: str, patient: str, by: str) -> Account:
        """They stand in for this patient no longer. Raises NotFound."""

        def proxies(account: Account) -> tuple[Proxy, ...]:
            return tuple(each for each in account.proxies if each.patient != patient)

        return await self.change(account_id, by, proxies=proxies)

    async def change(self, account_id: str, by: str, action: Action = Action.ACCOUNT_CHANGE, **fields: Any) -> Account:
        """Change fields, each to a value or to what a function of the account gives; end all that was given to it."""

        async def once() -> Account:
            held = await self.held(account_id)
            values = {name: each(held.value) if callable(each) else each for name, each in fields.items()}
            batch, account = self.replaced(held, **values)
            batch += await all_of(self._endings, account_id)
            await self._commit(action, account, batch, by)
            return account

        return await again(once)

    async def confirm(self, account_id: str) -> None:
        """Its owner has looked through their ways to sign in. Takes nothing back. Raises NotFound."""

        async def once() -> None:
            batch, account = self.replaced(await self.held(account_id), reviewed=self._ground.clock.now_ms())
            await self._commit(Action.ACCOUNT_CHANGE, account, batch, account_id)

        await again(once)

    def replaced(self, held: Held[Account], **fields: Any) -> tuple[Batch, Account]:
        """An account with other fields, and the batch that makes it so."""
        now = self._ground.clock.now_ms()
        account = replace(held.value, version=held.value.version + 1, changed=now, **fields)
        return self._rows.replace(held, account), account

    def take_up(self, held: Held[Account], login: str) -> tuple[Batch, Account]:
        """The batch that makes an invited account one that may sign in, under a user name; Raced when it is taken."""
        now = self._ground.clock.now_ms()
        batch, account = self.replaced(held, login=login, status=Status.ACTIVE, reviewed=now)
        if login != held.value.login:
            batch += self._logins.insert(self._logins.key(login), Named(account.id))
            if held.value.login:
                batch += self._logins.clear(self._logins.key(held.value.login))
        return batch, account

    async def ended(self, account_id: str) -> Batch:
        """What takes back all that an account was given."""
        return await all_of(self._endings, account_id)

    def _names(self, account: Account) -> Batch:
        """The names that it has from the start."""
        batch, named = Batch(), Named(account.id)
        if account.login:
            batch += self._logins.insert(self._logins.key(account.login), named)
        if account.resource:
            batch += self._persons.insert(self._persons.key(account.resource), named)
        return batch

    async def _commit(self, action: Action, account: Account, batch: Batch, by: str) -> None:
        event = self._ground.event(action, account.id, mark(account, row_of(batch)), about(account), by=by)
        await self._ground.commit(batch, event)


def row_of(batch: Batch) -> bytes:
    """The account's row in a batch that makes or changes one: it comes first."""
    return (batch.puts or batch.inserts)[0][2]


def mark(account: Account, row: bytes) -> str:
    """What an event names: the account, which version of it, and the very row."""
    return f"{account.id}:{account.version}:{tag_of(row)}"


def tag_of(row: bytes) -> str:
    """What names a sealed row and no other."""
    return row[_TAG].hex()


def about(account: Account) -> str:
    """An account in the words of the log."""
    roles = ",".join(account.roles)
    return f"account {account.id} login {account.login or '-'} roles {roles} status {account.status}"
