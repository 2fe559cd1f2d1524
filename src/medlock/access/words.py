"""The words beside resource scopes: launch context, identity, offline access (SMART App Launch 2.2, OpenID Connect).

They give no right to any resource; what they ask for is context and tokens, which `oauth` answers. `parted` takes a
scope parameter apart: resource scopes, these words, and the rest, which nobody understands here. Resource scopes are
parsed by `access.scopes` and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from medlock.access.scopes import Kind


class Word(StrEnum):
    """What an app may ask for beside resources."""

    LAUNCH = "launch"
    LAUNCH_PATIENT = "launch/patient"
    LAUNCH_ENCOUNTER = "launch/encounter"
    OPENID = "openid"
    FHIR_USER = "fhirUser"
    PROFILE = "profile"
    OFFLINE = "offline_access"
    ONLINE = "online_access"


class Parted(NamedTuple):
    """A scope parameter in parts, each word once and in the order given."""

    resources: tuple[str, ...]
    words: tuple[Word, ...]
    unknown: tuple[str, ...]


_WORDS = {word.value: word for word in Word}
_KINDS = tuple(f"{kind}/" for kind in Kind)


def parted(text: str) -> Parted:
    """The words of a scope parameter by what they are. Refuses nothing: `parse_scopes` reads the resource scopes."""
    given = dict.fromkeys(text.split())
    resources = tuple(each for each in given if each.startswith(_KINDS))
    words = tuple(_WORDS[each] for each in given if each in _WORDS)
    return Parted(resources, words, tuple(each for each in given if each not in _WORDS and each not in resources))
