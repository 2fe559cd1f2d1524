"""What the record knows of the people in it, as plain values: the input of the sweep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """Identifiers of a patient, family, address and clinicians. Values are as the record spells them.

    `names` are whole names ("Adolph Daryl Smith", "Smith, Adolph"); `dates` are ISO 8601, whole or partial;
    `numbers` are record, insurance, licence and other numbers; `addresses` are lines or whole addresses; `words` are
    anything else that must not be left (an employer, a ship).
    """

    names: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    # Ordinary lower-case words that are one typo away from a name ("many" for Mary) stay unless a name stands beside.
    sparing: bool = False
