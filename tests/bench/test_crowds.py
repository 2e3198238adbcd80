"""The benches of many clients, run short, and the crowd that they are made of."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.client import ClientError
from bench.crowd import Listener, open_crowd
from bench.servers import greenroom

pytestmark = pytest.mark.wallclock


@pytest.fixture
def pair() -> Iterator[tuple[Listener, socket.socket]]:
    """A listener that has joined, and the server's end of its connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Listener(ours, joined=True), theirs


def event(event_id: int) -> bytes:
    return b"\x81\x20" + b'42["oh_event",{"id":%d,"x":"y"}]' % event_id


def test_every_event_is_counted_once_wherever_it_is_cut(pair: tuple[Listener, socket.socket]) -> None:
    listener, _ = pair
    data = b"".join(event(number) for number in range(5, 25))
    for cut in range(1, 60):
        listener.count, listener.last_id, listener.rest = 0, -1, b""
        for start in range(0, len(data), cut):
            listener.take(data[start : start + cut])
        assert (listener.count, listener.last_id, listener.in_order) == (20, 24, True)


@pytest.mark.parametrize("ids", [(1, 1), (2, 1)])
def test_what_comes_twice_or_out_of_order_is_seen(pair: tuple[Listener, socket.socket], ids: tuple[int, int]) -> None:
    listener, _ = pair
    for event_id in ids:
        listener.take(event(event_id))
    assert not listener.in_order


def test_a_ping_is_answered_once(pair: tuple[Listener, socket.socket]) -> None:
    listener, server = pair
    for data in (event(1) + b"\x81", b"\x01", b"2", event(2), event(3)):
        listener.take(data)
    assert server.recv(100) == b"\x81\x81\0\0\0\x003"
    assert listener.count == 3


def test_who_is_refused_or_waits_in_vain_ends_the_bench(tmp_path: Path) -> None:
    with greenroom(tmp_path / "data") as server, open_crowd() as crowd:
        with pytest.raises(ClientError, match=r"refused.*Conversation not found"):
            crowd.join(server.url, [{"conversation_id": "unknown"}])
        crowd.leave(crowd.everybody())
        query = {"conversation_id": server.create_conversation()}
        people = crowd.join(server.url, [query, query])
        with pytest.raises(ClientError, match="2 of 2"):
            crowd.wait(people, lambda listener: listener.count > 10_000, seconds=0.2)


def test_p2_fan_out_is_measured_beside_the_peer_and_bare_writes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["fanout", "--listeners", "5", "--rounds", "1", "--seconds", "0.2", "--burst", "3"])
    told = capsys.readouterr().out
    for name in ("one at a time", "3 at a time", "bare write", "greenroom", "python-socketio", "peer / ours"):
        assert name in told


def test_p3_a_stalled_reader_is_held_against_turns_without(capsys: pytest.CaptureFixture[str]) -> None:
    main(["stalled", "--listeners", "3", "--rounds", "1", "--seconds", "0.6", "--bytes", "50000", "--patience", "0"])
    told = capsys.readouterr().out
    for name in ("nobody stalls, again", "one stalls / nobody stalls"):
        assert name in told


def test_p4_a_history_is_replayed_hot_and_woken(capsys: pytest.CaptureFixture[str]) -> None:
    main(["replay", "--events", "200", "--rounds", "1", "--together", "2", "--starts", "1"])
    told = capsys.readouterr().out
    for name in ("hot, one client", "hot, 2 at once", "woken, one client", "bare loop"):
        assert name in told


def test_p13_everybody_comes_back_without_gap_or_repeat(capsys: pytest.CaptureFixture[str]) -> None:
    main(["reconnect", "--clients", "10", "--conversations", "2", "--missed", "2", "--rounds", "1"])
    told = capsys.readouterr().out
    for name in ("connections lost", "killed and started again", "python-socketio"):
        assert name in told
