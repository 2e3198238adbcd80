"""Whose request it is when a proxy stands between: pure functions over addresses and `X-Forwarded-For`.

What lives here: which address a request counts for. What must not: counting. Only what a trusted proxy says is
believed, and only from the right, since each proxy adds the address it saw at the end and anybody may write the rest.
"""

import ipaddress
from collections.abc import Sequence

import attrs

__all__ = ["Network", "TrustedProxies", "networks"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

OWNED_BITS = 64
"""Who has an IPv6 address has the whole /64 around it, so they count as one."""


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
        for text in reversed(forwarded_for.split(",")):
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
        address = _address(peer)
        is_believed = address is not None and self._is_trusted(address)
        return is_believed and forwarded_proto.rpartition(",")[2].strip().lower() == "https"

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self.trusted)


def networks(text: str) -> tuple[Network, ...]:
    """A comma list of addresses and networks. Raises `ValueError`."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(ipaddress.ip_network(part) for part in parts)
    except ValueError:
        raise ValueError("must be a list of addresses such as 10.0.0.1 or networks such as 10.0.0.0/8") from None


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
