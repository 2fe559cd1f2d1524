"""What each mode was measured to find, on texts that neither tuning nor training had seen.

Figures of benchmarks/deid_text_bench.py (docs/deid/text.md says how they came about): percent of the identifiers
whose every letter and digit was covered, on held-out queries of ASQ-PHI (English) and on MEDDOCAN's dev part (Spanish).
"""

from __future__ import annotations

from collections.abc import Sequence

_RULES = (97.2, 78.6)
_TAGGER = (99.4, 99.0)


def measured(*, tagger: bool, models: Sequence[str]) -> str:
    """One sentence for people: which detectors run, and the recall that was measured for them."""
    english, spanish = _TAGGER if tagger else _RULES
    running = ["rules and dictionaries", *(["medlock's own model"] if tagger else []), *models]
    absent = "" if models else " Optional models (spacy, rampart) are not asked."
    return (
        f"Detectors: {', '.join(running)}.{absent} Measured without optional models on held-out texts: "
        f"{english} % of identifiers wholly removed in English, {spanish} % in Spanish."
    )
