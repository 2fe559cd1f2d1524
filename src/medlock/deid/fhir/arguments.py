"""The options of `medlock deid`, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medlock.deid.fhir.cleaners import Prose
from medlock.deid.fhir.presets import PRESETS
from medlock.deid.fhir.profile import Dates
from medlock.deid.text.models import Model

Source = Annotated[
    Path | None, typer.Argument(help="Bundles, resources or NDJSON, also .gz; a file or a directory of them.")
]
Out = Annotated[Path | None, typer.Option(help="New directory for the output.")]
Preset = Annotated[str, typer.Option(help=f"One of {', '.join(sorted(PRESETS))}.")]
Rules = Annotated[Path | None, typer.Option(help="A rule file in Microsoft's format, instead of a preset.")]
Strict = Annotated[bool, typer.Option("--strict", help="With --rules: redact what no rule reaches.")]
KeyFile = Annotated[Path | None, typer.Option(help="The project's key; without one, a key for this run only.")]
HowDates = Annotated[Dates | None, typer.Option(help="What becomes of dates, other than the preset says.")]
Weeks = Annotated[bool, typer.Option("--weeks", help="Shift by whole weeks, so that weekdays stay.")]
Offsets = Annotated[Path | None, typer.Option(help="Days per patient, from elsewhere: CSV or JSON.")]
CodeSystem = Annotated[list[str] | None, typer.Option(help="A further code system to keep; may be repeated.")]
Text = Annotated[
    Prose, typer.Option(help="Drop notes and attachments, clean them, or clean them only of what the record knows.")
]
Models = Annotated[list[Model] | None, typer.Option(help="With --text clean: ask this model too; may be repeated.")]
VaultFile = Annotated[Path | None, typer.Option(help="Add the patients to this token vault.")]
AsOf = Annotated[str, typer.Option(help="The day at which ages count, such as 2026-06-01; default today.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")]
Limit = Annotated[int, typer.Option(help="How many resources of each type a dry run shows.")]
Choose = Annotated[bool, typer.Option("--choose", help="Ask a few questions and say which preset fits.")]

NewKey = Annotated[Path, typer.Argument(help="Where the new key goes; it must not exist.")]
NewVault = Annotated[Path, typer.Argument(help="Where the new vault goes; it must not exist.")]
TheKey = Annotated[Path, typer.Option("--key-file", help="The project's key, made with medlock deid key.")]
TheVault = Annotated[Path, typer.Argument(help="The token vault.")]
Token = Annotated[list[str], typer.Option(help="The pseudonym of a Patient; may be repeated.")]
Reason = Annotated[str, typer.Option(help="Why; it is written down.")]
Audit = Annotated[Path, typer.Option(help="A file to which a line is added before anybody is named.")]
First = Annotated[str, typer.Option(help="Name of one of the two people.")]
Second = Annotated[str, typer.Option(help="Name of the other.")]
Passphrases = Annotated[
    list[Path] | None, typer.Option("--passphrase-file", help="Their passphrases, one file each; else both are asked.")
]
Custodian = Annotated[str, typer.Option(help="The person whose share is destroyed.")]
