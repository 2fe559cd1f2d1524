"""Files that pages link to, out of the package: styles, scripts, the mark. Each has a hash in its name.

So an address stands for one content for ever, browsers keep it for a year, and a new version is a new address. Scripts
are ES modules; where one imports another by its plain name, the hashed name is put in its place when files are read.
Nothing else of the package can be asked for: the table is made at start, and an address is looked up in it.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

PREFIX = "/static/"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_IMPORT = re.compile(r'(?<=from "\./)([a-z-]+)\.js(?=";)')


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    name: str
    media: str
    body: bytes


class Shelf:
    """All files, by the name in the address and by the name in the package."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources
        self._made: dict[str, File] = {}
        for name in sources:
            self._make(name)
        self._by_address = {file.name: file for file in self._made.values()}

    def address(self, name: str) -> str:
        """Where a file of the package is served. Raises KeyError: a template names what is not there."""
        return PREFIX + self._made[name].name

    def find(self, name: str) -> File | None:
        """The file under an address's last part."""
        return self._by_address.get(name)

    def _make(self, name: str) -> File:
        """Read a file, those it imports first."""
        if name not in self._made:
            text = _IMPORT.sub(lambda found: self._make(found[0]).name, self._sources[name])
            stem, _, kind = name.rpartition(".")
            body = text.encode()
            digest = urlsafe_b64encode(sha256(body).digest()[:9]).decode()
            self._made[name] = File(f"{stem}.{digest}.{kind}", _TYPES[kind], body)
        return self._made[name]


@cache
def shelf() -> Shelf:
    """The package's own files."""
    place = files("medlock.web.signin") / "static"
    return Shelf({file.name: file.read_text(encoding="utf-8") for file in place.iterdir() if file.is_file()})
