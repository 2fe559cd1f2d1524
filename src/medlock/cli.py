"""`medlock`: mounts the commands that live beside their packages, and turns errors into a sentence and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from medlock import __version__
from medlock.app import open_app, open_site, operator, verify_checks
from medlock.backup.commands import backup_app
from medlock.clock import Clock
from medlock.console import Exit
from medlock.defence.commands import add_leaktest
from medlock.deid.commands import deid_app
from medlock.errors import BadRequest, Conflict, Denied, MedlockError, NotFound, SetupError, Unavailable
from medlock.identity.commands import account_app
from medlock.identity.passwords.commands import password_app
from medlock.identity.session_commands import session_app
from medlock.oauth.client_commands import client_app
from medlock.oauth.commands import token_app
from medlock.oauth.signing_commands import oauth_app
from medlock.partners.tested import tested_server
from medlock.records import commands as record_commands
from medlock.records.consent_commands import consents_app
from medlock.records.glass_commands import glass_app
from medlock.rights.commands import sharing_app
from medlock.store.commands import key_app
from medlock.store.move_commands import migrate_store
from medlock.web import commands as web_commands
from medlock.web.oplog import OpLog
from medlock.web.route_commands import add_routes

_CODES: tuple[tuple[type[MedlockError], Exit], ...] = (
    (SetupError, Exit.SETUP),
    (Unavailable, Exit.UNAVAILABLE),
    (BadRequest, Exit.USAGE),
    (Denied, Exit.REFUSED),
    (NotFound, Exit.REFUSED),
    (Conflict, Exit.REFUSED),
)


def _version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        sys.stdout.write(f"medlock {__version__}\n")
        raise typer.Exit


def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """FHIR R4 server whose store is sealed patient by patient, behind one door."""
    del version


def make_cli() -> typer.Typer:
    """The whole command line."""
    cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    cli.callback()(_root)
    web_commands.add_commands(cli, open_site, open_app)
    add_routes(cli)
    record_commands.add_commands(cli, open_app, verify_checks)
    cli.command("migrate-store")(migrate_store(open_app))
    cli.add_typer(glass_app(open_app), name="break-glass")
    cli.add_typer(consents_app(open_app), name="consents")
    cli.add_typer(account_app(open_app), name="account")
    cli.add_typer(session_app(open_app), name="session")
    cli.add_typer(token_app(open_app), name="token")
    cli.add_typer(client_app(open_app), name="client")
    cli.add_typer(oauth_app(open_app), name="oauth")
    cli.add_typer(key_app(open_app), name="keys")
    cli.add_typer(backup_app(verify_checks, operator), name="backup")
    cli.add_typer(deid_app(), name="deid")
    cli.add_typer(sharing_app(tested_server), name="sharing")
    add_leaktest(cli, open_app, tested_server)
    cli.add_typer(password_app(open_app), name="password-policy")
    return cli


def main() -> None:
    """Run a command. One sentence on stderr for every error, never a traceback; exit codes in docs/cli.md."""
    try:
        make_cli()(prog_name="medlock")
    except MedlockError as error:
        _end(str(error), _code(error))
    except KeyboardInterrupt:
        _end("Stopped.", Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(Exit.OK)
    except Exception as fault:  # noqa: BLE001 - the process boundary
        OpLog(Clock()).fault(fault, "cli")
        _end("A fault in medlock ended this command; the line above says where it arose.", Exit.FAULT)


def _code(error: MedlockError) -> Exit:
    """The exit code of a kind of error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAULT)


def _end(sentence: str, code: Exit) -> None:
    """Say it and leave."""
    sys.stderr.write(f"medlock: {sentence}\n")
    sys.exit(code)
