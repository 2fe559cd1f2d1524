"""`medlock account …`: the people who may sign in, as the operator keeps them. docs/cli.md, docs/identity.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Annotated, Any, Protocol, TypeVar

import typer
from rich.table import Column, Table

from medlock.clock import instant
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, operator_name, people, run, settings_for, show_json
from medlock.errors import BadRequest, Conflict
from medlock.identity.account import Account, canonical_login
from medlock.identity.accounts import NewAccount
from medlock.identity.invitations import Invited
from medlock.identity.proxies import proxy_of
from medlock.identity.services import Identity
from medlock.settings import Settings

T = TypeVar("T")
AccountId = Annotated[str, typer.Argument(help="Id of the account, or the user name.")]
Hours = Annotated[int, typer.Option(help="How many hours the code is good for.")]


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    @property
    def identity(self) -> Identity:
        """Accounts and all that belongs to them."""


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


class At:
    """Runs something on the identity of a data directory."""

    def __init__(self, open_: Open) -> None:
        self._open = open_

    def __call__(self, data_dir: Any, act: Callable[[Identity], Awaitable[T]], *, create: bool = False) -> T:
        """What `act` answers."""

        async def inside() -> T:
            async with self._open(settings_for(data_dir), create=create) as desk:
                return await act(desk.identity)

        return run(inside())


class AccountCommands:
    """The commands."""

    def __init__(self, at: At) -> None:
        self._at = at

    def create(  # noqa: PLR0917 - each is an option on the command line
        self,
        name: Annotated[str, typer.Argument(help="What the person is called.")],
        role: Annotated[list[str], typer.Option(help="What they are here for; may be repeated.")],
        login: Annotated[str, typer.Option(help="Their user name; without it they choose one.")] = "",
        person: Annotated[
            str, typer.Option(help="Their own record: Patient/id, Practitioner/id or RelatedPerson/id.")
        ] = "",
        organisation: Annotated[
            list[str] | None, typer.Option(help="For whom they work: Organization/id; may be repeated.")
        ] = None,
        birth: Annotated[
            str, typer.Option(help="Date of birth, YYYY-MM-DD, which whoever has the code must know as well.")
        ] = "",
        hours: Hours = 72,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Make an account and a code with which the person takes it up. The code is shown once."""
        new = NewAccount(name, tuple(role), login, person, tuple(organisation or ()), birth)

        async def act(identity: Identity) -> Invited:
            account = await identity.accounts.create(new, operator_name())
            return await identity.invitations.invite(account.id, operator_name(), hours)

        _show_code(self._at(data_dir, act, create=True), json=json)

    def invite(
        self,
        account: AccountId,
        reset: Annotated[
            bool, typer.Option("--reset", help="Also for an account in use: the code takes all its factors away.")
        ] = False,
        hours: Hours = 72,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Make a new code for an account; the one before is worth nothing any more."""

        async def act(identity: Identity) -> Invited:
            found = await find(identity, account)
            if found.reviewed and not reset:
                raise Conflict("This account is in use: with --reset the code takes away all that it is proven with.")
            return await identity.invitations.invite(found.id, operator_name(), hours)

        _show_code(self._at(data_dir, act), json=json)

    def list_(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """List all accounts."""

        async def act(identity: Identity) -> list[Account]:
            return [account async for account in identity.accounts.every()]

        found = sorted(self._at(data_dir, act), key=lambda account: (account.login, account.created))
        if json:
            show_json([_plain(account) for account in found])
            return
        table = Table(Column("id", no_wrap=True), "user name", "name", "roles", "record", "status")
        for account in found:
            roles = ", ".join(account.roles)
            table.add_row(account.id, account.login, account.name, roles, account.resource, account.status)
        people().print(table)

    def show(self, account: AccountId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Show an account: what it is proven with, failed attempts, whom it stands in for."""

        async def act(identity: Identity) -> dict[str, Any]:
            found = await find(identity, account)
            standing = await identity.standing(found.id)
            factors = await identity.kit.held(found.id)
            return _plain(found) | {
                "factors": [
                    {"kind": each.kind, "name": each.label, "phishing_resistant": each.resistant, **_made(each.created)}
                    for each in factors
                ],
                "sessions": len(await identity.sessions.of(found.id)),
                "failed": standing.failed,
                "last_failed": _instant(standing.last),
                "waits_until": _instant(standing.waits_until),
                "suspended": list(standing.suspended),
            }

        shown = self._at(data_dir, act)
        if json:
            show_json(shown)
            return
        for name, value in shown.items():
            people().print(f"{name:14} {value}", soft_wrap=True)

    def disable(self, account: AccountId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """End all that was given to an account, from the next request on; nobody signs in with it."""
        self._change(data_dir, account, "Disabled", lambda one, name: one.accounts.disable(name, operator_name()), json)

    def enable(self, account: AccountId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Let the person sign in again."""
        self._change(data_dir, account, "Enabled", lambda one, name: one.accounts.enable(name, operator_name()), json)

    def approve(self, account: AccountId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Approve the roles that another operator gave to an account: it waits until somebody else does."""
        self._change(data_dir, account, "Approved", lambda one, name: one.accounts.approve(name, operator_name()), json)

    def unlock(self, account: AccountId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Forget failed attempts: nobody waits, and factors that were suspended answer again."""

        async def act(identity: Identity, name: str) -> Account:
            await identity.unlock(name, operator_name())
            return await identity.accounts.get(name)

        self._change(data_dir, account, "Unlocked", act, json)

    def roles(
        self,
        account: AccountId,
        role: Annotated[list[str], typer.Argument(help="All the roles that it has from now on.")],
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Give an account other roles; what it was given under the former ones ends."""

        async def act(identity: Identity, name: str) -> Account:
            return await identity.accounts.set_roles(name, tuple(role), operator_name())

        self._change(data_dir, account, "Changed", act, json)

    def represent(  # noqa: PLR0917 - each is an option on the command line
        self,
        account: AccountId,
        patient: Annotated[str, typer.Argument(help="Id of the Patient.")],
        related: Annotated[str, typer.Option(help="The RelatedPerson that says how they are related.")],
        verified: Annotated[bool, typer.Option("--verified", help="You have seen the papers.")] = False,
        since: Annotated[str, typer.Option(help="First day, YYYY-MM-DD; without it, now.")] = "",
        until: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD; without it, open.")] = "",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Let a person stand in for a patient. Without --verified it is noted and counts for nothing."""

        async def act(identity: Identity, name: str) -> Account:
            now = identity.ground.clock.now_ms()
            proxy = proxy_of(patient, related, (since, until), now, operator_name() if verified else "")
            return await identity.accounts.represent(name, proxy, operator_name())

        self._change(data_dir, account, "Noted", act, json)

    def dismiss(
        self,
        account: AccountId,
        patient: Annotated[str, typer.Argument(help="Id of the Patient.")],
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Let a person stand in for a patient no longer."""
        self._change(
            data_dir, account, "Dismissed", lambda one, name: one.accounts.dismiss(name, patient, operator_name()), json
        )

    def _change(
        self,
        data_dir: Any,
        account: str,
        said: str,
        act: Callable[[Identity, str], Awaitable[Account]],
        json: bool,
    ) -> None:
        """Find an account, do something to it, show what it is then."""

        async def inside(identity: Identity) -> Account:
            return await act(identity, (await find(identity, account)).id)

        changed = self._at(data_dir, inside)
        if json:
            show_json(_plain(changed))
        else:
            people().print(f"{said} {changed.id} ({changed.login or 'no user name yet'}).")


async def find(identity: Identity, text: str) -> Account:
    """An account by id or user name. Raises NotFound."""
    with suppress(BadRequest):
        held = await identity.accounts.by_login(canonical_login(text))
        if held is not None:
            return held.value
    return await identity.accounts.get(text)


def _show_code(invited: Invited, *, json: bool) -> None:
    """The one time that a code is shown."""
    expires = instant(invited.expires)
    if json:
        show_json({"account": invited.account, "code": invited.code, "expires": expires})
    else:
        people().print(f"{invited.code}\naccount {invited.account}, code good until {expires}", soft_wrap=True)


def _plain(account: Account) -> dict[str, Any]:
    """An account for programs."""
    return {
        "id": account.id,
        "login": account.login,
        "name": account.name,
        "roles": list(account.roles),
        "person": account.resource,
        "organisations": list(account.organisations),
        "status": account.status.value,
        "asked_by": account.asked,
        "created": _instant(account.created),
        "changed": _instant(account.changed),
        "reviewed": _instant(account.reviewed),
        "represents": [
            {
                "patient": each.patient,
                "related": each.related,
                "since": _instant(each.since),
                "until": _instant(each.until),
                "verified": _instant(each.verified),
            }
            for each in account.proxies
        ],
    }


def _made(ms: int) -> dict[str, str]:
    return {"made": _instant(ms)}


def _instant(ms: int) -> str:
    return instant(ms) if ms else ""


def account_app(open_: Open) -> typer.Typer:
    """`medlock account`."""
    app = typer.Typer(help="People who may sign in.", no_args_is_help=True)
    mine = AccountCommands(At(open_))
    app.command("create")(mine.create)
    app.command("invite")(mine.invite)
    app.command("list")(mine.list_)
    app.command("show")(mine.show)
    app.command("disable")(mine.disable)
    app.command("enable")(mine.enable)
    app.command("approve")(mine.approve)
    app.command("unlock")(mine.unlock)
    app.command("roles")(mine.roles)
    app.command("represent")(mine.represent)
    app.command("dismiss")(mine.dismiss)
    return app
