"""From which address a request comes, as quotas and counters of sign-in know it.

The peer of the connection, or, when that is a proxy that the operator named, the last address in X-Forwarded-For that
is none of theirs: whatever stands before it was written by the caller. An IPv6 address counts by its /64, because one
customer has all of it (RFC 6177).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from medlock.errors import SetupError

HERE = "local"
_FORWARDED = b"x-forwarded-for"
Network = IPv4Network | IPv6Network


class Peers:
    """Addresses of callers. Raises SetupError for a proxy that is none."""

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        try:
            self._proxies = tuple(ip_network(each) for each in proxies)
        except ValueError as fault:
            raise SetupError("MEDLOCK_PROXIES holds addresses or networks, such as 10.0.0.0/8.") from fault

    def address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Whom to count; "local" for a caller in this machine without an address."""
        client = scope.get("client")
        if client is None:
            return HERE
        host: str = client[0]
        if self._proxies and self._is_proxy(host):
            host = self._forwarded(host, headers.get(_FORWARDED, b""))
        return counted(host)

    def _forwarded(self, peer: str, header: bytes) -> str:
        """The last hop that is no proxy of ours; the peer when there is none."""
        hops = [hop.strip() for hop in header.decode("latin-1").split(",")]
        return next((hop for hop in reversed(hops) if hop and not self._is_proxy(hop)), peer)

    def _is_proxy(self, host: str) -> bool:
        address = _parsed(host)
        return address is not None and any(
            address.version == network.version and address in network for network in self._proxies
        )


NEAR = Peers()
"""No proxies: whoever connects is who asks."""


@lru_cache(maxsize=4_096)
def counted(host: str) -> str:
    """The address, or the network that counts for it; what is no address counts as one."""
    address = _parsed(host)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return "unknown" if address is None else str(address)


def _parsed(host: str) -> IPv4Address | IPv6Address | None:
    """An address, IPv4 in the place of IPv4 that is written as IPv6."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
