"""Where the keys for a restore come from: a file and shares that people bring, or a copy that the provider opens."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from medlock.clock import Clock
from medlock.crypto.shares import Share, join, parse
from medlock.errors import SetupError, Tampered
from medlock.settings import Settings
from medlock.store.copy_commands import PREFIX
from medlock.store.keycopy import CopyHeader, KeyExport, header_of, open_export
from medlock.store.opening import export_of

_SQLITE = b"SQLite format 3\x00"


def read_shares(names: Sequence[str]) -> list[str]:
    """The lines of these files that hold something; `-` is standard input. Raises SetupError."""
    lines: list[str] = []
    for name in names:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text()
        except (OSError, UnicodeDecodeError) as fault:
            raise SetupError(f"The share in {name} cannot be read. Give --share a file that holds one.") from fault
        lines += [line for line in text.splitlines() if line.strip()]
    return lines


def exported_from(file: Path, lines: Sequence[str], settings: Settings, clock: Clock) -> KeyExport:
    """The keys in a file. Raises SetupError saying which share is wrong, which are missing, or what does not fit."""
    try:
        blob = file.read_bytes()
    except OSError as fault:
        raise SetupError(f"The copy of the keystore {file} cannot be read: {fault.strerror}.") from fault
    if blob.startswith(_SQLITE):
        return export_of(file, settings, clock)
    try:
        header = header_of(blob)
    except Tampered as fault:
        raise SetupError(f"{file}: {fault.reason}. Give a file that medlock keys backup made.") from fault
    secret = _joined(header, lines)
    try:
        return open_export(blob, secret)
    except Tampered as fault:
        raise SetupError(
            f"These shares do not open {file}: it was edited or cut, or the shares are forged. Use another copy of it."
        ) from fault


def _joined(header: CopyHeader, lines: Sequence[str]) -> bytes:
    """The secret. Raises SetupError."""
    wanted = f"{header.threshold} of the {header.shares} shares of set {header.set} are needed"
    shares = [_parsed(number, line) for number, line in enumerate(lines, 1)]
    if any(each.set != header.set for each in shares):
        others = ", ".join(sorted({each.set for each in shares} - {header.set}))
        raise SetupError(f"{wanted}; these are of set {others}. Use the file that was made with them, or other shares.")
    if len(shares) < header.threshold:
        raise SetupError(f"{wanted}, {len(shares)} were given: name each file with --share.")
    try:
        return join(shares)
    except ValueError as fault:
        raise SetupError(f"{wanted}: {fault}.") from fault


def _parsed(number: int, line: str) -> Share:
    try:
        return parse(line, PREFIX)
    except ValueError as fault:
        raise SetupError(f"Share {number}: {fault}.") from fault
