"""Narratives and attachments: cleaned in their own format, or dropped when nothing can clean them.

Plain text, HTML and XHTML, RTF and C-CDA keep their format; of a PDF the text stays, as plain text. Images, sound,
video, DICOM and everything unknown are dropped, for nothing here can tell what they show. An address where the
original lies is dropped always, and so are size and hash, which would still be those of the original.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, Final

from medlock.deid.fhir.cda import cleaned_cda
from medlock.deid.fhir.cleaning import Cleaning
from medlock.deid.fhir.labels import Mark
from medlock.deid.fhir.markup import cleaned_div, cleaned_markup
from medlock.deid.fhir.pdf import text_of
from medlock.deid.fhir.rtf import cleaned_rtf
from medlock.deid.fhir.run import Json, Parts, Run, redacted
from medlock.deid.fhir.vocabulary import media_type
from medlock.fhir.narrative import problems_of

_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([\w-]{1,20})", re.IGNORECASE)
_STATUSES: Final = frozenset({"generated", "extensions", "additional", "empty"})
Content = tuple[str, bytes]  # media type, bytes


def cleaned_narrative(value: Json, run: Run, _parts: Parts) -> Json | None:
    """A Narrative with its div cleaned; dropped without a cleaner, and when the div is not safe to read."""
    redacted(run)
    div, status = value.get("div"), value.get("status")
    if run.subject.clean is None or type(div) is not str or problems_of(div) or status not in _STATUSES:
        return None
    return {"status": status, "div": cleaned_div(div, run.subject.clean)}


def cleaned_attachment(value: Json, run: Run, parts: Parts) -> Json | None:
    """An Attachment with its data cleaned; what is not text is dropped, with its address, size and hash."""
    redacted(run)
    out = parts({key: value[key] for key in ("language", "title", "creation") if key in value}, run) or {}
    content = cleaned_data(value.get("data"), value.get("contentType"), run.subject.clean)
    if content is not None:
        run.marks |= Mark.REDACTED
        out |= {"contentType": content[0], "data": base64.b64encode(content[1]).decode()}
    return out


def cleaned_data(data: Any, kind: Any, cleaning: Cleaning | None) -> Content | None:
    """What base64 `data` of media type `kind` holds, cleaned; None when it must be dropped."""
    if cleaning is None or type(data) is not str or type(kind) is not str:
        return None
    try:
        raw = base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError):
        return None
    act = _READERS.get(media_type(kind))
    return act(raw, kind, cleaning) if act else None


def _plain(raw: bytes, kind: str, cleaning: Cleaning) -> Content | None:
    text = _decoded(raw, kind)
    if text is None:
        return None
    return f"{media_type(kind)}; charset=utf-8", cleaning.text(text).encode()


def _decoded(raw: bytes, kind: str) -> str | None:
    named = _CHARSET.search(kind)
    try:
        return raw.decode(named[1] if named else "utf-8")
    except (UnicodeDecodeError, LookupError):
        return None


def _markup(raw: bytes, kind: str, cleaning: Cleaning) -> Content | None:
    text = _decoded(raw, kind)
    return None if text is None else ("text/html; charset=utf-8", cleaned_markup(text, cleaning).encode())


def _rtf(raw: bytes, kind: str, cleaning: Cleaning) -> Content | None:
    done = cleaned_rtf(raw, cleaning.text)
    return None if done is None else (media_type(kind), done)


def _pdf(raw: bytes, _kind: str, cleaning: Cleaning) -> Content | None:
    text = text_of(raw)
    return None if text is None else ("text/plain; charset=utf-8", cleaning.text(text).encode())


def _xml(raw: bytes, kind: str, cleaning: Cleaning) -> Content | None:
    done = cleaned_cda(raw, cleaning)
    return None if done is None else (media_type(kind), done)


_READERS: Final[dict[str, Callable[[bytes, str, Cleaning], Content | None]]] = {
    "text/plain": _plain,
    "text/markdown": _plain,
    "text/csv": _plain,
    "text/html": _markup,
    "application/xhtml+xml": _markup,
    "text/rtf": _rtf,
    "application/rtf": _rtf,
    "application/pdf": _pdf,
    "text/xml": _xml,
    "application/xml": _xml,
    "application/hl7-v3+xml": _xml,
    "application/hl7-cda+xml": _xml,
}
