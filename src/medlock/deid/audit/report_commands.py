"""`medlock deid report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medlock.clock import Clock, instant
from medlock.console import AsJson, Exit, people, show_json
from medlock.crypto.notes import NoteVerifier, parse_verifier
from medlock.deid.audit.report import NOTE, Wanted, make_report, verify_report
from medlock.deid.audit.seal import signer as signer_of
from medlock.deid.fhir.keyfile import read_key
from medlock.errors import BadRequest

Release = Annotated[Path, typer.Argument(help="The release: a file, or a directory of files.")]
Out = Annotated[Path | None, typer.Option(help="The directory to make for the report.", file_okay=False)]
Key = Annotated[Path | None, typer.Option(help="The signer's key file, from deid key.", dir_okay=False)]
Signer = Annotated[str, typer.Option(help="The name that the signature bears.")]
Title = Annotated[str, typer.Option(help="The heading of the report.")]
Result = Annotated[Path | None, typer.Option(help="What deid audit --result wrote for this release.", dir_okay=False)]
Leaks = Annotated[Path | None, typer.Option(help="Leaks found in a review of released texts.", dir_okay=False)]
Known = Annotated[Path | None, typer.Option(help="A JSON file of identifiers to look for in it.", dir_okay=False)]
Config = Annotated[list[Path] | None, typer.Option(help="A file that decided the release, to be hashed.")]
Verify = Annotated[Path | None, typer.Option(help="The report.note to verify, beside its report.", dir_okay=False)]
SignedBy = Annotated[str | None, typer.Option(help="The key whose signature is wanted, as deid report prints it.")]


def report_command(  # noqa: PLR0917 - each is an option on the command line
    release: Release,
    out: Out = None,
    key_file: Key = None,
    signer: Signer = "medlock-deid",
    title: Title = "Release report",
    result: Result = None,
    leaks: Leaks = None,
    known: Known = None,
    config: Config = None,
    verify: Verify = None,
    signed_by: SignedBy = None,
    json: AsJson = False,
) -> None:
    """Seal a release with a signed report, or verify one: any byte that changed since is named."""
    if verify is not None:
        _verify(release, verify, _verifier(signed_by), json=json)
        return
    if out is None or key_file is None:
        msg = "A report needs --out and --key-file; to check one give --verify and --signed-by."
        raise BadRequest(msg)
    at = instant(Clock().now_ms())
    by = signer_of(signer, read_key(key_file))
    make_report(Wanted(release, out, at, title, result, leaks, known, config or []), by)
    if json:
        show_json({"report": str(out), "signed_by": by.verifier.text})
    else:
        people().print(f"Sealed in {out}. It verifies offline with", markup=False, soft_wrap=True)
        command = f"medlock deid report {release} --verify {out / NOTE} --signed-by {by.verifier.text}"
        people().print(command, markup=False, soft_wrap=True)


def _verifier(text: str | None) -> NoteVerifier:
    try:
        return parse_verifier(text or "")
    except ValueError:
        msg = "Verifying needs --signed-by with the signer's key, such as name+0a1b2c3d+AbC..."
        raise BadRequest(msg) from None


def _verify(release: Path, note: Path, by: NoteVerifier, *, json: bool) -> None:
    wrong = verify_report(release, note, by)
    if json:
        show_json({"well": not wrong, "findings": [{"file": name, "finding": what} for name, what in wrong]})
    for name, what in [] if json else wrong:
        people().print(f"{name}: {what}", markup=False, soft_wrap=True)
    if not wrong and not json:
        people().print(f"Every byte of release and report is as {by.name} signed it.", markup=False)
    if wrong:
        raise typer.Exit(Exit.FINDINGS)


def add_report(app: typer.Typer) -> None:
    """Mount the command."""
    app.command("report")(report_command)
