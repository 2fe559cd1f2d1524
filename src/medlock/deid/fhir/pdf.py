"""The text of a PDF, for it to be cleaned and kept as plain text.

A PDF is not changed in place: text that is covered, cropped, in a form, in metadata or in an earlier revision would
stay in the file. What a reader would see as text is taken out and the file itself dropped; a scan has none. Needs
pypdf (the `deid` extra); without it no text is found and the attachment is dropped.
"""

from __future__ import annotations

import io
import logging
from typing import Final

try:
    import pypdf
except ImportError:  # the extra is not installed
    pypdf = None  # type: ignore[assignment]

PAGES_MAX: Final = 500


def text_of(source: bytes) -> str | None:
    """The text of the pages; None when there is none to be had."""
    if pypdf is None or not source.startswith(b"%PDF-"):
        return None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it would log pieces of the document
    try:
        reader = pypdf.PdfReader(io.BytesIO(source))
        if reader.is_encrypted or len(reader.pages) > PAGES_MAX:
            return None
        text = "\n".join(page.extract_text() for page in reader.pages)
    except (pypdf.errors.PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    return text if text.strip() else None
