"""`medlock deid fhir | key | vault | reveal | forget`: FHIR files de-identified, and the keys that go with it."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.prompt import Prompt
from rich.text import Text

from medlock.clock import Clock, instant
from medlock.console import AsJson, aside, people, show_json
from medlock.deid.fhir import arguments as given
from medlock.deid.fhir.chooser import QUESTIONS, Advice, advise
from medlock.deid.fhir.cleaners import Prose, said_of
from medlock.deid.fhir.diff import Change
from medlock.deid.fhir.keyfile import make_key, read_key, read_secret, replace_file, write_new
from medlock.deid.fhir.options import Files, Options, Tuning, day_of, profile_of
from medlock.deid.fhir.presets import PRESETS
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.deid.fhir.vault import Custodian, Reversal, create
from medlock.deid.fhir.vault import read as read_vault
from medlock.deid.fhir.working import Work
from medlock.errors import BadRequest, Unavailable


def fhir(  # noqa: PLR0917 - each is an option on the command line
    path: given.Source = None,
    out: given.Out = None,
    preset: given.Preset = "safe-harbor",
    rules: given.Rules = None,
    strict: given.Strict = False,
    key_file: given.KeyFile = None,
    dates: given.HowDates = None,
    weeks: given.Weeks = False,
    offsets: given.Offsets = None,
    code_system: given.CodeSystem = None,
    text: given.Text = Prose.DROP,
    models: given.Models = None,
    vault: given.VaultFile = None,
    as_of: given.AsOf = "",
    dry_run: given.DryRun = False,
    limit: given.Limit = 3,
    choose: given.Choose = False,
    json: AsJson = False,
) -> None:
    """De-identify FHIR R4: by preset or by rule file, all of it or nothing."""
    if choose:
        _choose(json=json)
        return
    if path is None:
        raise BadRequest("Name a file or a directory to de-identify.")
    profile = profile_of(preset, Tuning(dates, weeks, tuple(code_system or ())))
    files = Files(path, out, rules, key_file, offsets, vault)
    clock, read_by = Clock(), tuple(models or ())
    at, day = instant(clock.now_ms()), day_of(as_of, clock.now().date())
    work = Work(Options(files, profile, text, at, day, strict=strict, dry_run=dry_run, limit=limit, models=read_by))
    if dry_run:
        _look(work, json=json)
    else:
        _release(work, json=json)


def _release(work: Work, *, json: bool) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    screen = aside()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("files", total=len(work.files))
        work.run(lambda number: bar.update(task, completed=number))
    report = _report(work)
    if json:
        show_json(report)
        return
    resources = sum(work.tally.resources.values())
    people().print(f"{report['preset']}: {work.tally.files} files, {resources} resources de-identified.")
    if not work.options.files.rules and work.options.prose is not Prose.DROP:
        people().print(f"Notes: {report['cleaner']}", markup=False, soft_wrap=True)
    if work.tally.unruled:
        people().print(f"{work.tally.unruled} strings passed because no rule speaks of them; --strict would drop them.")


def _report(work: Work) -> dict[str, Any]:
    options = work.options
    if options.files.rules:
        return {"preset": "rules", "strict": options.strict} | work.tally.report()
    chosen = {"preset": options.profile.name, "basis": options.profile.basis}
    prose = {"text": options.prose, "cleaner": said_of(options.prose, options.models)}
    return chosen | {"dates": options.profile.dates} | prose | work.tally.report()


def _look(work: Work, *, json: bool) -> None:
    shown = list(work.look())
    if json:
        parts = [{"resourceType": kind, "changes": [each._asdict() for each in found]} for kind, found in shown]
        show_json(_report(work) | {"diff": parts})
        return
    people().print("What would change. This shows the input: it is for the eyes of those who may see it.")
    for kind, found in shown:
        people().print(f"\n{kind}", style="bold")
        for each in found:
            _show(each)
    people().print(f"{sum(work.tally.resources.values())} resources looked at; nothing was written.")


def _show(change: Change) -> None:
    """One element: what goes in red, what comes in green."""
    people().print(f"  {change.path}", markup=False, soft_wrap=True)
    for sign, text, style in (("-", change.before, "red"), ("+", change.after, "green")):
        if text is not None:
            people().print(f"    {sign} {text}", style=style, markup=False, soft_wrap=True)


def _choose(*, json: bool) -> None:
    """Ask, and say which preset fits and why."""
    answers = {}
    for question in QUESTIONS:
        aside().print(f"\n{question.words}")
        for key, words in question.answers.items():
            aside().print(Text.assemble("  ", (key, "bold"), f": {words}"))
        answers[question.key] = Prompt.ask("  answer", console=aside(), choices=list(question.answers))
    advice = advise(answers)
    if json:
        show_json(asdict(advice) | {"basis": PRESETS[advice.preset].basis})
    else:
        _advise(advice)


def _advise(advice: Advice) -> None:
    people().print(f"\n--preset {advice.preset} ({PRESETS[advice.preset].basis}): {advice.because}.")
    for duty in advice.duties:
        people().print(f"- {duty}")


def key(path: given.NewKey, json: AsJson = False) -> None:
    """Make the key of a project: whoever has it can link pseudonyms, and without it nobody can."""
    make_key(path)
    if json:
        show_json({"key_file": str(path)})
    else:
        people().print("Made. Keep it apart from the data; deleting it is final.")


def _custodians(names: tuple[str, str], files: list[Path] | None) -> tuple[Custodian, Custodian]:
    """The two people with their passphrases, from files of their own or typed one after the other."""
    if files and len(files) != 2:
        raise BadRequest("Give --passphrase-file twice, in the order of the custodians.")
    words = [
        read_secret(files[at], "passphrase file").decode().strip()
        if files
        else getpass.getpass(f"Passphrase of {name}: ", stream=sys.stderr)
        for at, name in enumerate(names)
    ]
    return Custodian(names[0], words[0]), Custodian(names[1], words[1])


def vault(  # noqa: PLR0917 - each is an option on the command line
    path: given.NewVault,
    key_file: given.TheKey,
    first: given.First,
    second: given.Second,
    passphrase_file: given.Passphrases = None,
    json: AsJson = False,
) -> None:
    """Make a token vault: who is behind a pseudonym is found only by two people together."""
    made = create(Pseudonyms(read_key(key_file)), _custodians((first, second), passphrase_file))
    write_new(path, made.write())
    if json:
        show_json({"vault": str(path), "project": made.project.hex(), "custodians": [first, second]})
    else:
        people().print("Made. Name it with --vault when you de-identify.")


def reveal(  # noqa: PLR0917 - each is an option on the command line
    path: given.TheVault,
    token: given.Token,
    reason: given.Reason,
    audit: given.Audit,
    first: given.First,
    second: given.Second,
    passphrase_file: given.Passphrases = None,
    json: AsJson = False,
) -> None:
    """Find out who is behind a pseudonym, two people together; the audit file gets it first."""
    opened = read_vault(read_secret(path, "vault"))
    pair = _custodians((first, second), passphrase_file)
    found = opened.reveal(token, pair, reason, lambda reversal: _write_down(audit, reversal))
    if json:
        show_json([asdict(each) for each in found])
        return
    for each in found:
        people().print(f"{each.token}  {each.id}  {each.days} days", soft_wrap=True)


def forget(path: given.TheVault, custodian: given.Custodian, json: AsJson = False) -> None:
    """Destroy one person's share of a vault: nobody can ever be found through it again."""
    rest = read_vault(read_secret(path, "vault")).without(custodian)
    replace_file(path, rest.write())
    if json:
        show_json({"vault": str(path), "destroyed": custodian})
    else:
        people().print("Destroyed. Copies of the vault made before still hold the share: destroy them too.")


def _write_down(path: Path, reversal: Reversal) -> None:
    """A line in the audit file, durable when this returns. Raises Unavailable: then nobody is named."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(asdict(reversal) | {"by": getpass.getuser()}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        raise Unavailable("The audit file cannot be written, so nobody was named.") from None


def add_fhir(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command("fhir")(fhir)
    app.command("key")(key)
    app.command("vault")(vault)
    app.command("reveal")(reveal)
    app.command("forget")(forget)
