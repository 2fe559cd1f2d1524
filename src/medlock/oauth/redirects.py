"""Redirect URIs: which may be registered, and when one that is sent is one of them (RFC 6749 §3.1.2, RFC 9700 §2.1).

They are compared as strings, character by character. The one exception is RFC 8252 §7.3: an app on the person's own
machine listens on a port that it learns late, so for a loopback address the port is left out of the comparison.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from medlock.errors import BadRequest

URIS_MAX = 20
URI_BYTES = 2_000
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PLAIN = re.compile(r"[!-~]+")
_HOST = re.compile(r"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""What may stand in a policy of a page (CSP `form-action`) as it is: no comma, no semicolon, no quote."""
_PRIVATE = re.compile(r"[a-z][a-z0-9+\-]*(?:\.[a-z0-9+\-]+)+")  # RFC 8252 §7.1: a reversed domain name


def check_redirects(uris: Sequence[str]) -> None:
    """Return when all of them may be registered. Raises BadRequest, by position."""
    if len(uris) > URIS_MAX:
        raise BadRequest(f"A client has at most {URIS_MAX} redirect URIs.")
    for position, uri in enumerate(uris, 1):
        if not _may_redirect(uri):
            raise BadRequest(
                f"Redirect URI {position} must be https, http on a loopback address, or a private scheme that is a "
                "reversed domain name; whole, without a fragment, a wildcard or a user name."
            )


def _may_redirect(uri: str) -> bool:
    parts = parsed(uri)
    if parts is None or "#" in uri or "*" in uri or "@" in parts.netloc or "\\" in uri:
        return False
    if parts.scheme == "https":
        return _HOST.fullmatch(parts.netloc) is not None
    if parts.scheme == "http":
        return is_loopback(parts)
    return _PRIVATE.fullmatch(parts.scheme) is not None


def check_address(uri: str, what: str) -> None:
    """Return when this is the https address (or one on loopback) of a page of the app. Raises BadRequest."""
    parts = parsed(uri)
    if parts is None or "#" in uri or "\\" in uri or not (parts.scheme == "https" or is_loopback(parts)):
        parts = None
    if parts is None or _HOST.fullmatch(parts.netloc) is None:
        raise BadRequest(f"The {what} must be an https address without a fragment or a user name.")


def parsed(uri: str) -> SplitResult | None:
    """A URI of visible ASCII, taken apart; None for what is none."""
    if len(uri) > URI_BYTES or _PLAIN.fullmatch(uri) is None:
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme and parts.scheme == uri.partition(":")[0] else None


def is_loopback(parts: SplitResult) -> bool:
    """Whether it leads to the machine that the browser runs on."""
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def is_registered(registered: Sequence[str], uri: str) -> bool:
    """Whether `uri` is one of those registered."""
    if uri in registered:
        return True
    parts = parsed(uri)
    if parts is None or not is_loopback(parts) or "@" in parts.netloc or "#" in uri:
        return False
    return any(_without_port(each) == _without_port(uri) for each in registered if _is_local(each))


def _is_local(uri: str) -> bool:
    parts = parsed(uri)
    return parts is not None and is_loopback(parts)


def _without_port(uri: str) -> tuple[str, str | None, str, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.path, parts.query


def origin_of(uri: str) -> str:
    """Where the scripts of an app come from that is redirected to there (RFC 6454 §6.2); "" for a private scheme."""
    parts = parsed(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts is not None and parts.scheme in {"https", "http"} else ""
