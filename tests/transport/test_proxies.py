"""Whose request it is: only a trusted proxy is believed, and only from the right."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.proxies import TrustedProxies, networks

PROXIES = TrustedProxies(networks("10.0.0.0/8, 127.0.0.1, fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("1.2.3.4", "", "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", "1.2.3.4"),  # anybody may write that
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("127.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),  # what the client wrote stands on the left
        ("127.0.0.1", "6.6.6.6, 9.9.9.9, 10.1.1.1", "9.9.9.9"),
        ("127.0.0.1", "10.3.3.3, 10.1.1.1", "10.3.3.3"),
        ("127.0.0.1", "9.9.9.9:4711", "9.9.9.9"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", "9.9.9.9, unknown", "127.0.0.1"),
        ("127.0.0.1", "9.9.9.9, unknown, 10.1.1.1", "10.1.1.1"),
        ("127.0.0.1", ",,", "127.0.0.1"),
        ("::ffff:127.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("::ffff:1.2.3.4", "", "1.2.3.4"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("2001:db8::1", "", "2001:db8::/64"),
        ("<local>", "9.9.9.9", "<local>"),
        ("127.0.0.1", "6.6.6.6, 9.9.9.9" + ", 10.1.1.1" * 31, "9.9.9.9"),
        ("127.0.0.1", "9.9.9.9" + ", 10.1.1.1" * 32, "10.1.1.1"),  # nobody stands behind so many
    ],
)
def test_who_asks(peer: str, forwarded_for: str, client: str) -> None:
    assert PROXIES.client(peer, forwarded_for) == client


@given(st.ip_addresses(v=4), st.text())
def test_without_trust_nothing_that_is_written_counts(peer: ipaddress.IPv4Address, forwarded_for: str) -> None:
    assert TrustedProxies().client(str(peer), forwarded_for) == str(peer)


@given(st.text() | st.lists(st.ip_addresses().map(str) | st.text()).map(",".join))
def test_any_text_is_somebody(forwarded_for: str) -> None:
    assert PROXIES.client("127.0.0.1", forwarded_for)


@given(st.text(), st.ip_addresses(v=4))
def test_what_stands_left_of_a_stranger_changes_nothing(written: str, client: ipaddress.IPv4Address) -> None:
    if client not in ipaddress.ip_network("10.0.0.0/8") and str(client) != "127.0.0.1":
        assert PROXIES.client("127.0.0.1", f"{written}, {client}") == str(client)


@pytest.mark.parametrize(
    ("peer", "proto", "is_https"),
    [
        ("127.0.0.1", "https", True),
        ("127.0.0.1", "http, HTTPS", True),
        ("127.0.0.1", "https, http", False),
        ("127.0.0.1", "", False),
        ("1.2.3.4", "https", False),
        ("<local>", "https", False),
    ],
)
def test_only_a_trusted_proxy_ends_tls(peer: str, proto: str, *, is_https: bool) -> None:
    assert PROXIES.is_https(peer, proto) is is_https


@pytest.mark.parametrize(
    ("peer", "forwarded_host", "hosts"),
    [
        ("127.0.0.1", "green.example", ("green.example", "here:3000")),
        ("127.0.0.1", "evil.example, green.example:8443", ("green.example:8443", "here:3000")),
        ("127.0.0.1", "", ("here:3000",)),
        ("127.0.0.1", "green.example, ", ("here:3000",)),
        ("1.2.3.4", "evil.example", ("here:3000",)),
        ("<local>", "evil.example", ("here:3000",)),
    ],
)
def test_only_a_trusted_proxy_says_which_name_was_asked_for(
    peer: str, forwarded_host: str, hosts: tuple[str, ...]
) -> None:
    assert PROXIES.hosts(peer, "here:3000", forwarded_host) == hosts


def test_an_ipv4_network_that_is_written_as_ipv6_is_the_same() -> None:
    assert networks("::ffff:10.0.0.1, ::ffff:10.0.0.0/104") == networks("10.0.0.1, 10.0.0.0/8")


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.0/99", "1.2.3", "10.0.0.1;10.0.0.2"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="addresses such as"):
        networks(text)
