"""What the composition root decides by itself."""

import resource

import pytest

from transport.app import _connections_possible


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
