"""One request of the fuzzer as structure, so that it can be mutated before it becomes bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

FHIR = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"
PATCH = "application/json-patch+json"
WRITES = ("PUT", "PATCH", "DELETE")


@dataclass
class Asked:
    """A request: who sends it, and what. `raw` is a body as bytes, `target` an address as bytes; both outrank the rest."""

    caller: str
    method: str
    path: str
    params: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Any = None
    raw: bytes | None = None
    target: bytes | None = None
    encoded: bool = False  # the path is percent-encoded already

    def set(self, name: str, value: str) -> None:
        """A header, in place of a former one."""
        self.headers = [(each, kept) for each, kept in self.headers if each != name] + [(name, value)]

    def address(self) -> bytes:
        """Path and query as they go over the wire."""
        if self.target is not None:
            return self.target
        path = self.path if self.encoded else quote(self.path, safe="/$*._-~")
        query = "" if self._in_body() else _form(self.params)
        return f"{path}?{query}".encode() if query else path.encode()

    def content(self) -> bytes:
        """The body as it goes over the wire."""
        if self.raw is not None:
            return self.raw
        if self._in_body():
            return _form(self.params).encode()
        return b"" if self.body is None else json.dumps(self.body).encode()

    def _in_body(self) -> bool:
        return self.method == "POST" and self.path.endswith("/_search")

    def media(self) -> str:
        """The Content-Type that fits the body."""
        if self._in_body():
            return FORM
        return PATCH if self.method == "PATCH" and isinstance(self.body, list) else FHIR

    def wire(self, tokens: dict[str, str]) -> bytes:
        """The whole request."""
        content = self.content()
        names = {name for name, _ in self.headers}
        lines = [b"%b %b HTTP/1.1" % (self.method.encode(), self.address()), b"host: localhost"]
        if tokens.get(self.caller) and "authorization" not in names:
            lines.append(f"authorization: Bearer {tokens[self.caller]}".encode())
        if content and "content-type" not in names:
            lines.append(f"content-type: {self.media()}".encode())
        if content or self.method in {"POST", "PUT", "PATCH"}:
            lines.append(b"content-length: %d" % len(content))
        lines += [b"%b: %b" % (name.encode(), value.encode("latin-1", "replace")) for name, value in self.headers]
        return b"\r\n".join([*lines, b"", content])


def _form(params: list[tuple[str, str]]) -> str:
    """Parameters as application/x-www-form-urlencoded; what is no character goes as the bytes it would be."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" if value else _quoted(name) for name, value in params)


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe=":/|,.$-_")
