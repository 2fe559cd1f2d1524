"""What was done to a resource, as security labels in its `meta.security`.

Microsoft's tool writes its own set of codings and files made for it expect them; the labels of the presets are of the
FHIR security label vocabulary: SECALTINTOBV of v3-ObservationValue (REDACTED, ABSTRED, PSEUDED, ANONYED, MASKED).
"""

from __future__ import annotations

from typing import Any, Final

OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"


class Mark:
    """What happened, as bits, in the order in which labels are written.

    Plain integers: an enum's `|=` is ten times slower, and it happens for every value that changes.
    """

    NONE = 0
    REDACTED = 1
    ABSTRACTED = 2
    HASHED = 4
    ENCRYPTED = 8
    PERTURBED = 16
    SUBSTITUTED = 32
    GENERALIZED = 64
    PSEUDONYMISED = 128
    ANONYMISED = 256


def _coding(code: str, display: str, system: str = "") -> dict[str, str]:
    return ({"system": system} if system else {}) | {"code": code, "display": display}


LABELS: Final[dict[int, dict[str, str]]] = {
    Mark.REDACTED: _coding("REDACTED", "redacted", OBSERVATION_VALUE),
    Mark.ABSTRACTED: _coding("ABSTRED", "abstracted", OBSERVATION_VALUE),
    Mark.HASHED: _coding("CRYTOHASH", "cryptographic hash function", OBSERVATION_VALUE),
    Mark.ENCRYPTED: _coding("MASKED", "masked", OBSERVATION_VALUE),
    Mark.PERTURBED: _coding("PERTURBED", "exact value is replaced with another exact value"),
    Mark.SUBSTITUTED: _coding("SUBSTITUTED", "exact value is replaced with a predefined value"),
    Mark.GENERALIZED: _coding("GENERALIZED", "exact value is replaced with a general value"),
    Mark.PSEUDONYMISED: _coding("PSEUDED", "pseudonymized", OBSERVATION_VALUE),
    Mark.ANONYMISED: _coding("ANONYED", "anonymized", OBSERVATION_VALUE),
}
_WRITTEN: Final = tuple(LABELS.items())


def add_labels(resource: dict[str, Any], marks: int) -> None:
    """Add the labels of `marks` to `meta.security` in place; a code that is there stays alone. None: nothing."""
    if not marks:
        return
    meta = resource.setdefault("meta", {})
    labels = meta.setdefault("security", [])
    present = {str(label.get("code", "")).upper() for label in labels}
    labels += [dict(label) for mark, label in _WRITTEN if marks & mark and label["code"] not in present]
