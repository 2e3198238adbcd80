"""What the composition root decides by itself."""

import resource

import pytest

from transport.app import _connections_possible, _who_may_come_in
from transport.config import Config
from transport.proxies import networks


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(1_048_576, 1_048_576 - 4096 - 128), (1024, 1024 - 512 - 128), (200, 1)],
)
def test_connections_leave_descriptors_for_the_logs(
    descriptors: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert _connections_possible() == connections


def test_where_descriptors_have_no_bound_nothing_is_taken_from_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert _connections_possible() > 1_000_000


PROXIES = networks("127.0.0.1")


@pytest.mark.parametrize(
    ("config", "warned_of"),
    [
        (Config(), ""),
        (Config(trusted_proxies=PROXIES), "whom the proxy lets through"),
        (Config(trusted_proxies=PROXIES, session_api_key="k3y"), ""),
        (Config(host="192.0.2.1"), "who reaches this address"),
        (Config(host="192.0.2.1", session_api_key="k3y"), ""),
    ],
)
def test_who_starts_a_server_for_everybody_is_told(config: Config, warned_of: str) -> None:
    warning = _who_may_come_in(config)
    assert warned_of in warning
    assert bool(warning) is bool(warned_of)
