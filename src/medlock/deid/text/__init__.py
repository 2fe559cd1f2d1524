"""Free text without identifiers: rules, dictionaries, a small model, and the sweep for what the record knows.

    from medlock.deid.text import Known, Redactor, redact

    redact("Seen by Dr. Anna Weber on 3/14/2023.").text        # 'Seen by Dr. [NAME] on [DATE].'
    Redactor("es").apply(text, Known(names=("Ana Ruiz",)), replace=lambda span: "…")

Everything here is a function of its arguments; files and options live in `commands`.
"""

from __future__ import annotations

from medlock.deid.text.date_shift import shift_words
from medlock.deid.text.known import Known
from medlock.deid.text.policy import EVERY_KIND, SAFE_HARBOR, Policy
from medlock.deid.text.redactor import Redacted, Redactor, redact, tag
from medlock.deid.text.spans import Kind, Span
from medlock.deid.text.sweep import Sweep

__all__ = [
    "EVERY_KIND",
    "SAFE_HARBOR",
    "Kind",
    "Known",
    "Policy",
    "Redacted",
    "Redactor",
    "Span",
    "Sweep",
    "redact",
    "shift_words",
    "tag",
]
