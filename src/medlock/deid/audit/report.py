"""A release report over files: made and sealed, or verified, without a network.

The report is a directory of three files: `report.html` for people, `report.json` for programs, and `report.note`, which
seals both and every file of the release. It appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from medlock.crypto.notes import NoteSigner, NoteVerifier
from medlock.deid.audit.job import FORMAT as AUDITED
from medlock.deid.audit.leaks import Leak, known_left, leaks, texts_of
from medlock.deid.audit.page import page
from medlock.deid.audit.seal import Entry, differences, entry, opened, sealed
from medlock.deid.fhir.release import release as whole_directory
from medlock.deid.text.knowing import known_from
from medlock.errors import BadRequest, Conflict, Tampered

FORMAT = "medlock-deid-report/1"
NOTE, FILES = "report.note", ("report.html", "report.json")
Json = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is reported: see the options of `medlock deid report`; `at` is when, in UTC."""

    release: Path
    out: Path
    at: str
    title: str
    result: Path | None = None
    leaks: Path | None = None
    known: Path | None = None
    config: Sequence[Path] = ()


def make_report(wanted: Wanted, by: NoteSigner) -> Json:
    """Write a sealed report, and return its document.

    Raises BadRequest for inputs of another form, Conflict when the release is not what was audited or was blocked.
    """
    inside = wanted.out.resolve()
    if wanted.release.is_dir() and wanted.release.resolve() in (inside, *inside.parents):
        msg = "The report cannot lie inside the release, which it seals; name a directory beside it."
        raise BadRequest(msg)
    entries = release_entries(wanted.release)
    document = _document(wanted, entries, by)
    made = {
        "report.json": orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n",
        "report.html": page(document).encode(),
    }
    note = sealed([*(entry(f"report/{name}", data) for name, data in made.items()), *entries], by)
    with whole_directory(wanted.out) as directory:
        for name, data in (made | {NOTE: note.encode()}).items():
            with directory.named(name) as file:
                file.write(data)
    return document


def verify_report(release: Path, note: Path, by: NoteVerifier) -> list[tuple[str, str]]:
    """What is wrong with a report and its release: name and what became of it; nothing when all is as it was signed."""
    try:
        files = opened(_read(note), by)
    except Tampered as error:
        return [(note.name, error.reason)]
    present = [each for each in FILES if (note.parent / each).is_file()]
    found = [entry(f"report/{each}", _read(note.parent / each)) for each in present]
    return differences(files, {each.name: each for each in [*found, *release_entries(release)]})


def release_entries(release: Path) -> list[Entry]:
    """The files of a release, one or a directory of them. Raises BadRequest when there are none, or links."""
    if release.is_file():
        return [entry(f"release/{release.name}", _read(release))]
    if not release.is_dir():
        msg = f"There is no release {release}."
        raise BadRequest(msg)
    found = sorted(release.rglob("*"))
    if any(each.is_symlink() for each in found):
        msg = "The release has links in it, which cannot be sealed; put files in their place."
        raise BadRequest(msg)
    files = [each for each in found if each.is_file()]
    if not files:
        msg = f"The release {release} has no files."
        raise BadRequest(msg)
    return [entry(f"release/{each.relative_to(release).as_posix()}", _read(each)) for each in files]


def _document(wanted: Wanted, entries: Sequence[Entry], by: NoteSigner) -> Json:
    audit = None if wanted.result is None else _audit(wanted.result, entries)
    found = [*(_leaks(wanted.leaks) if wanted.leaks else []), *(_left(wanted, wanted.known) if wanted.known else [])]
    if audit is None and not found:
        msg = "A report needs what was measured: --result of deid audit, --leaks or --known."
        raise BadRequest(msg)
    return {
        "format": FORMAT,
        "title": wanted.title,
        "at": wanted.at,
        "signer": by.verifier.name,
        "release": [
            {"name": each.name.removeprefix("release/"), "bytes": each.size, "sha256": each.sha256} for each in entries
        ],
        "configuration": _configuration(wanted, audit),
        "audit": audit,
        "leaks": [asdict(each) | {"share": asdict(each.share), "interval": "Clopper-Pearson 95 %"} for each in found],
    }


def _configuration(wanted: Wanted, audit: Json | None) -> list[Json]:
    """Hashes of what decided the release and its audit."""
    found = [{"what": path.name, "sha256": sha256(_read(path)).hexdigest()} for path in wanted.config]
    if audit is not None:
        plain = orjson.dumps(audit["configuration"], option=orjson.OPT_SORT_KEYS)
        found.append({"what": "audit", "sha256": sha256(plain).hexdigest()})
    return found


def _audit(path: Path, entries: Sequence[Entry]) -> Json:
    try:
        found = orjson.loads(_read(path))
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or found.get("format") != AUDITED:
        msg = f"{path.name} is not what deid audit --result wrote."
        raise BadRequest(msg)
    if found["audit"]["blocked"]:
        msg = "The audit blocked this release; it must not leave, and gets no report."
        raise Conflict(msg)
    if [each.sha256 for each in entries] != [found["release"]["sha256"]]:
        msg = "The release is not the file that was audited; audit it again."
        raise Conflict(msg)
    return found


def _leaks(path: Path) -> list[Leak]:
    try:
        text = _read(path).decode()
    except UnicodeDecodeError:
        msg = f"{path.name} is not UTF-8."
        raise BadRequest(msg) from None
    return leaks(text, toml=path.suffix != ".json")


def _left(wanted: Wanted, known: Path) -> list[Leak]:
    """What the sweep still finds in the released texts."""
    release = wanted.release
    files = [release] if release.is_file() else [each for each in sorted(release.rglob("*")) if each.is_file()]
    texts = [text for each in files for text in texts_of(each.name, _read(each))]
    return [known_left(texts, known_from(_read(known), known.name))] if texts else []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        msg = f"{path} cannot be read; name a file that exists."
        raise BadRequest(msg) from None
