"""Which addresses outside may be asked at all: https, a name, a public address. Pure.

A server that fetches what strangers name can be made to ask its own neighbours (OWASP API7:2023, SSRF): the database on
loopback, the metadata service of a cloud on a link-local address. So a URL must be https with a host *name*, and every
address that the name resolves to must be one of the public internet, in whatever form it is written: IPv4 inside
IPv6 (mapped, 6to4, Teredo, NAT64) included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from medlock.errors import BadRequest

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{4,253}}$)(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_TARGET = re.compile(r"[\x21-\x7e]*")
_URL_MAX = 2_048
HTTPS = 443
_UNPRIVILEGED = 1_024

# IANA's special-purpose registries (RFC 6890), where what Python calls global differs between its versions.
_NEVER = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
        "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_UNICAST = IPv6Network("2000::/3")


@dataclass(frozen=True, slots=True)
class Target:
    """An address to ask: host in lower case, port, path with query."""

    host: str
    port: int
    path: str


def target_of(url: str, *, local: bool = False) -> Target:
    """The parts of a URL that may be asked. Raises BadRequest. `local` takes localhost, for tests.

    A name must have a dot and end in a word: numbers that some resolvers read as addresses are no names.
    """
    if len(url) > _URL_MAX or _TARGET.fullmatch(url) is None:
        raise _refused("it is too long, or has characters that stand in no URL")
    try:
        parts = urlsplit(url)
        port = HTTPS if parts.port is None else parts.port
    except ValueError:
        raise _refused("it is no URL") from None
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or "@" in parts.netloc or "#" in url or "\\" in url:
        raise _refused("it is not https, or has a user or a fragment in it")
    if _HOST.fullmatch(host) is None and not (local and host == "localhost"):
        raise _refused("its host is no name in the public domain name system")
    if port != HTTPS and port < _UNPRIVILEGED:
        raise _refused("its port belongs to another service")
    return Target(host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def is_public(address: str) -> bool:
    """Whether an address, in text, is a unicast one of the public internet, and no other address in disguise."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False  # with a zone, or no address at all
    if isinstance(parsed, IPv6Address) and parsed not in _UNICAST:
        return False
    return parsed.is_global and not any(parsed.version == never.version and parsed in never for never in _NEVER)


def _refused(reason: str) -> BadRequest:
    return BadRequest("This address cannot be fetched from.", reason=f"the address is refused: {reason}")
