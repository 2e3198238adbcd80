"""Whose request it is when a proxy stands between: pure functions over addresses and `X-Forwarded-…`.

What lives here: which address a request counts for, and what its browser sees of this server. What must not: counting.
Only what a trusted proxy says is believed, and only from the right, since each proxy adds what it saw at the end and
anybody may write the rest. `Forwarded` (RFC 7239) is not read: a proxy that writes the one and lets the other pass
would have anybody say who they are (docs/decisions/0015).
"""

import ipaddress
from collections.abc import Sequence

import attrs

__all__ = ["Network", "TrustedProxies", "networks"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

OWNED_BITS = 64
"""Who has an IPv6 address has the whole /64 around it, so they count as one."""

MAPPED_BITS = 96
"""Before an IPv4 address in an IPv6 one."""

HOPS_MAX = 32
"""Nobody stands behind so many proxies; each costs some microseconds to look at."""


@attrs.frozen
class TrustedProxies:
    """`trusted` are the networks in which every address is a proxy of the operator's."""

    trusted: Sequence[Network] = ()

    def client(self, peer: str, forwarded_for: str) -> str:
        """Who asks: the last address in `forwarded_for` that is no proxy, if `peer` is one, else `peer` itself.

        An IPv6 address is told as its network. What is no address ends the search: the proxy before it is the one
        that answers for it.
        """
        found = _address(peer)
        if found is None:
            return peer
        for text in reversed(forwarded_for.rsplit(",", HOPS_MAX)[-HOPS_MAX:]):
            named = _address(_without_port(text.strip()))
            if named is None or not self._is_trusted(found):
                break
            found = named
        return _owner(found)

    def owner(self, peer: str) -> str | None:
        """For whom a connection from there counts, before anything is said on it: nobody, if it is a proxy's."""
        found = _address(peer)
        if found is None:
            return peer
        return None if self._is_trusted(found) else _owner(found)

    def is_https(self, peer: str, forwarded_proto: str) -> bool:
        """Whether the browser speaks TLS, which only a proxy can end here."""
        return self._is_believed(peer) and _last(forwarded_proto).lower() == "https"

    def hosts(self, peer: str, host: str, forwarded_host: str) -> tuple[str, ...]:
        """The Host of a request, and before it the one that the browser asked for, if `peer` is a proxy and says so."""
        before = _last(forwarded_host) if forwarded_host and self._is_believed(peer) else ""
        return (before, host) if before else (host,)

    def _is_believed(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and self._is_trusted(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self.trusted)


def networks(text: str) -> tuple[Network, ...]:
    """A comma list of addresses and networks. Raises `ValueError`."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(_unmapped(ipaddress.ip_network(part)) for part in parts)
    except ValueError:
        raise ValueError("must be a list of addresses such as 10.0.0.1 or networks such as 10.0.0.0/8") from None


def _unmapped(network: Network) -> Network:
    """An IPv4 network that is written as IPv6 (`::ffff:10.0.0.1`, as logs have it) is the former, as addresses are."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    return network if mapped is None else ipaddress.IPv4Network((mapped, network.prefixlen - MAPPED_BITS))


def _last(listed: str) -> str:
    """What the proxy next to us has written."""
    return listed.rpartition(",")[2].strip()


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _without_port(text: str) -> str:
    """Some proxies add one: `1.2.3.4:5`, `[::1]:5`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _owner(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, OWNED_BITS), strict=False))
