"""What a literal reference points to (R4 §2.27.6): which resource, and is it one of ours?

A local reference is `Type/id`, or the server's own base address before it; a version behind it does not matter for
search. Everything else (another server's address, urn:uuid, a canonical address) is compared as written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from medlock.fhir.searchparams import RESOURCE_TYPES

REMEMBERED: Final = 4_096  # the records of one patient name the same few resources over and over

ID_FORM: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_VERSIONED = re.compile(r"([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")


def split_local(reference: str) -> tuple[str, str] | None:
    """(type, id) of a relative reference `Type/id` or `Type/id/_history/version`; None for anything else."""
    name, _, rest = reference.partition("/")
    if name not in RESOURCE_TYPES:
        return None
    found = _VERSIONED.fullmatch(rest)
    return (name, found[1]) if found else None


def strip_base(reference: str, base_url: str) -> str:
    """The reference without the server's own base address, when it begins with it."""
    return reference.removeprefix(base_url + "/") if base_url else reference


@lru_cache(maxsize=REMEMBERED)
def target_of(reference: str) -> tuple[str, str]:
    """(type, target) of a Reference.reference: what it points to, in the form that search compares.

    The target is `Type/id` when the reference is relative, "" when it is empty or names a contained resource, else
    as written. The type is read from any address of the form that FHIR's REST API has, else it is "".
    """
    local = split_local(reference)
    if local is not None:
        return local[0], f"{local[0]}/{local[1]}"
    if not reference or reference[0] == "#":
        return "", ""
    if "://" not in reference:
        return "", reference
    parts = reference.partition("/_history/")[0].split("/")
    return (parts[-2] if parts[-2] in RESOURCE_TYPES and ID_FORM.fullmatch(parts[-1]) else ""), reference
