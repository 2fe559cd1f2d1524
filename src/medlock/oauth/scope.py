"""The scope strings of OAuth requests (RFC 6749 §3.3, SMART App Launch 2.2 "Scopes and Launch Context").

A request holds words (`openid`, `launch/patient`, `offline_access`) and resource scopes (`patient/Observation.rs`).
Both are kept exactly as they were written, since SMART has a server return what it granted literally; what a resource
scope *means* is said by `access.scopes` alone. What is not understood is refused, never passed over.

`covers` is the one rule of narrowing: approvals, refreshed tokens and what a client is registered for all go through
it, and nothing goes through it and comes out wider.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medlock.access.narrowing import covers as allows
from medlock.access.scopes import ANY, Kind, Scopes, parse_scopes, rights
from medlock.errors import BadRequest, OAuthRefused

OPENID, FHIR_USER, PROFILE = "openid", "fhirUser", "profile"
LAUNCH, LAUNCH_PATIENT, LAUNCH_ENCOUNTER = "launch", "launch/patient", "launch/encounter"
OFFLINE, ONLINE = "offline_access", "online_access"
WORDS = (OPENID, FHIR_USER, PROFILE, LAUNCH, LAUNCH_PATIENT, LAUNCH_ENCOUNTER, OFFLINE, ONLINE)
"""Every word that is not a resource scope."""

SCOPE_BYTES = 16_384
SCOPES_MAX = 500
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A scope string, taken apart: its words and its resource scopes, each once, in the order they came in."""

    words: tuple[str, ...]
    resources: tuple[str, ...]

    @property
    def text(self) -> str:
        """As one string."""
        return " ".join((*self.words, *self.resources))

    @property
    def every(self) -> tuple[str, ...]:
        """All of them."""
        return self.words + self.resources

    def kinds(self) -> frozenset[Kind]:
        """Which kinds of resource scope there are."""
        return frozenset(Kind(each.partition("/")[0]) for each in self.resources)

    def __contains__(self, scope: str) -> bool:
        """Whether this very scope stands there."""
        return scope in self.words or scope in self.resources


def asked(text: str) -> Asked:
    """A scope string. Raises OAuthRefused (invalid_scope) at the first scope that this server does not know."""
    each = list(dict.fromkeys(text.split()))
    if len(text) > SCOPE_BYTES or len(each) > SCOPES_MAX:
        raise OAuthRefused("invalid_scope", f"At most {SCOPES_MAX} scopes may be asked for at once.")
    words = tuple(scope for scope in each if scope in WORDS)
    resources = tuple(scope for scope in each if scope not in WORDS)
    _check(resources)
    return Asked(words, resources)


def _check(resources: tuple[str, ...]) -> None:
    """Return when every resource scope is one that is enforced."""
    if not resources:
        return
    try:
        parse_scopes(" ".join(resources))
    except BadRequest as fault:
        raise OAuthRefused("invalid_scope", f"Not every scope is known here. {fault}") from None


def meaning(resources: Iterable[str]) -> Scopes:
    """What resource scopes allow; nothing when there are none."""
    text = " ".join(resources)
    return parse_scopes(text) if text else Scopes()


def covers(wide: Asked, narrow: Asked) -> bool:
    """Whether everything in `narrow` is within `wide`: the same words, no right on any resource beyond."""
    return not outside(wide, narrow)


def outside(wide: Asked, narrow: Asked) -> list[str]:
    """The scopes of `narrow` that are not within `wide`."""
    whole = meaning(wide.resources)
    return [
        *(word for word in narrow.words if word not in wide.words),
        *(each for each in narrow.resources if not allows(whole, meaning([each]))),
    ]


def taken_apart(scope: str) -> tuple[Kind, str, int]:
    """Kind, type and rights of a scope that `asked` has let pass."""
    kind, _, rest = scope.partition("?")[0].partition("/")
    resource_type, _, given = rest.rpartition(".")
    return Kind(kind), resource_type or ANY, rights(_FIRST_VERSION.get(given, given))


def narrowed(wide: Asked, text: str) -> Asked:
    """A scope string that must be within another (RFC 6749 §6). Raises OAuthRefused (invalid_scope)."""
    narrow = asked(text)
    if not narrow.every or not covers(wide, narrow):
        raise OAuthRefused("invalid_scope", "More was asked for than was granted.")
    return narrow
