"""`medlock deid text`: files, directories or standard input without their identifiers. Touches no store."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from medlock.console import AsJson, aside, people, show_json
from medlock.deid.text.knowing import known_from
from medlock.deid.text.known import Known
from medlock.deid.text.measured import measured
from medlock.deid.text.models import Model, load_model
from medlock.deid.text.policy import POLICIES
from medlock.deid.text.reading import Note, check_target, read, read_stdin, sources, write, write_all
from medlock.deid.text.redactor import Redacted, Redactor, Replace, tag
from medlock.deid.text.showing import counts, diff
from medlock.deid.text.spans import Span
from medlock.deid.text.surrogates import Surrogates
from medlock.deid.text.sweep import Sweep
from medlock.errors import BadRequest, NotFound, SetupError

KEY_BYTES = 32


class Language(StrEnum):
    """What a text is in."""

    EN = "en"
    ES = "es"
    AUTO = "auto"


class Mode(StrEnum):
    """What stands in place of an identifier."""

    TAGS = "tags"
    SURROGATES = "surrogates"


class PolicyName(StrEnum):
    """What counts as an identifier."""

    SAFE_HARBOR = "safe-harbor"
    EVERY_KIND = "every-kind"


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with each text, and where it goes."""

    redactor: Redactor
    known: Sweep | None
    key: bytes | None  # None puts the kind in brackets

    def replace(self, text: str) -> Replace:
        """What makes the replacements of this text: numbers such as 03/04 are read as its language writes dates."""
        if self.key is None:
            return tag
        return Surrogates(self.key, day_first=self.redactor.language_in(text) == "es")

    def on(self, text: str) -> Redacted:
        """The text without its identifiers."""
        return self.redactor.apply(text, self.known, self.replace(text))


def text(  # noqa: PLR0917 - each is an option on the command line
    path: Annotated[str, typer.Argument(help="A text file, a directory of them, or - for standard input.")],
    lang: Annotated[Language, typer.Option(help="Language of the texts.")] = Language.AUTO,
    policy: Annotated[PolicyName | None, typer.Option(help="What counts; by default by language.")] = None,
    mode: Annotated[Mode, typer.Option(help="Put the kind in brackets, or a made-up value.")] = Mode.TAGS,
    models: Annotated[list[Model] | None, typer.Option(help="Ask this model too; may be repeated.")] = None,
    rules_only: Annotated[bool, typer.Option("--rules-only", help="Leave out medlock's own small model.")] = False,
    known: Annotated[Path | None, typer.Option(help="JSON file with identifiers that must not be left.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="32 random bytes: one key, the same surrogates.")] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of the files.")] = "utf-8",
    out: Annotated[Path | None, typer.Option(help="New file or directory for the result.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")] = False,
    json: AsJson = False,
) -> None:
    """Remove identifiers from free text, and say how many of which kind. Nothing is written unless all is well."""
    detectors = tuple(load_model(model) for model in models or ())
    redactor = Redactor(lang, POLICIES[policy] if policy else None, not rules_only, detectors)
    sweep = Sweep(_known(known)) if known else None
    job = Job(redactor, sweep, _key(key_file) if mode is Mode.SURROGATES else None)
    notes = _notes(path, encoding)
    directory = Path(path).is_dir()
    if directory and out is None and not (dry_run or json):
        raise BadRequest("Name a new directory for the results with --out, or look first with --dry-run.")
    if out is not None and not dry_run:
        check_target(out, directory=directory)
    _say_mode(redactor, [model.value for model in models or ()])
    if json or dry_run:
        _show(job, notes, json=json, dry_run=dry_run, out=None if dry_run else out, directory=directory)
    else:
        _write(job, notes, out, directory=directory)


def _notes(given: str, encoding: str) -> list[Callable[[], Note]]:
    """Readers of the texts; files are each tried once before anything is written."""
    if given == "-":
        return [partial(_piped, encoding)]
    path = Path(given)
    found = sources(path)
    root = path if path.is_dir() else path.parent
    for each in found:
        read(each, encoding)
    return [partial(_note, each, root, encoding) for each in found]


def _note(path: Path, root: Path, encoding: str) -> Note:
    return Note(str(path), path.relative_to(root), read(path, encoding))


def _piped(encoding: str) -> Note:
    return Note("standard input", Path("-"), read_stdin(encoding))


def _known(path: Path) -> Known:
    try:
        return known_from(path.read_bytes(), str(path))
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error


def _key(key_file: Path | None) -> bytes:
    """The key of the file, or one that dies with this run."""
    if key_file is None:
        return secrets.token_bytes(KEY_BYTES)
    try:
        key = key_file.read_bytes()
    except OSError as error:
        raise SetupError(f"The key file {key_file} cannot be read: {error.strerror}.") from error
    if len(key) < KEY_BYTES:
        raise SetupError(f"The key file {key_file} must hold {KEY_BYTES} random bytes or more.")
    return key


def _say_mode(redactor: Redactor, models: list[str]) -> None:
    """Which detectors run, and what share of identifiers that mode found on texts it had not seen."""
    aside().print(measured(tagger=redactor.tagger, models=models), markup=False, soft_wrap=True)


def _done(job: Job, notes: list[Callable[[], Note]]) -> Iterator[tuple[Note, Redacted]]:
    """Each text and its result, under a progress bar when stderr is a terminal."""
    console = aside()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("texts", total=len(notes))
        for reader in notes:
            note = reader()
            yield note, job.on(note.text)
            bar.advance(task)


def _show(
    job: Job, notes: list[Callable[[], Note]], *, json: bool, dry_run: bool, out: Path | None, directory: bool
) -> None:
    results = list(_done(job, notes))
    if out is not None:
        _put([(note.path, result.text) for note, result in results], out, directory=directory)
    if json:
        show_json([_row(note, result, with_text=out is None and not dry_run) for note, result in results])
        return
    for note, result in results:
        people().print(f"{note.name}: {counts(result.spans)}", markup=False)
        people().print(diff(note.text, result.spans, job.replace(note.text)), soft_wrap=True)


def _row(note: Note, result: Redacted, *, with_text: bool) -> dict[str, Any]:
    """One text for programs. The words of the spans are left out: they are what must not travel."""
    row: dict[str, Any] = {"name": str(note.path), "spans": [_span(span) for span in result.spans]}
    return row | {"text": result.text} if with_text else row


def _span(span: Span) -> dict[str, Any]:
    return {
        "start": span.start,
        "end": span.end,
        "kind": str(span.kind),
        "confidence": round(span.confidence, 3),
        "source": span.source,
    }


def _write(job: Job, notes: list[Callable[[], Note]], out: Path | None, *, directory: bool) -> None:
    spans: list[Span] = []

    def results() -> Iterator[tuple[Path, str]]:
        for note, result in _done(job, notes):
            spans.extend(result.spans)
            yield note.path, result.text

    if out is None:
        sys.stdout.write("".join(result for _, result in results()))
        sys.stdout.flush()
    else:
        _put(results(), out, directory=directory)
    aside().print(f"Removed {counts(spans)} from {len(notes)} texts.", markup=False)


def _put(results: Any, out: Path, *, directory: bool) -> None:
    if directory:
        write_all(out, results)
    else:
        write(out, "".join(result for _, result in results))


def add_text(app: typer.Typer) -> None:
    """Mount the command."""
    app.command("text")(text)
