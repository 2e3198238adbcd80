"""The bench against real servers: what it counts is what they did."""

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from bench.baseline import filesystem_of, raw_syncs
from bench.client import Client, ClientError, event_arguments, open_client
from bench.round_trip import Load, measure, open_seats
from bench.servers import Server, ServerError, greenroom, python_socketio
from transport.socketio import codec

pytestmark = pytest.mark.wallclock


async def test_every_message_that_is_counted_is_in_a_log(tmp_path: Path) -> None:
    with greenroom(tmp_path / "data") as server:
        async with open_seats(server, 3) as clients:
            closed = await measure(server, clients, Load(seconds=0.3, content_bytes=50))
            paced = await measure(server, clients, Load(seconds=0.5, content_bytes=50, rate=60))
    logs = [path.read_text() for path in (tmp_path / "data" / "conversations").glob("*/events.jsonl")]
    assert sum(log.count('"content":"/note ') for log in logs) == len(closed.latencies) + len(paced.latencies) + 3
    assert len(paced.latencies) == 30
    assert closed.cpu_seconds is not None
    assert closed.cpu_seconds < 2 * closed.seconds


async def test_the_peer_answers_the_same_load(tmp_path: Path) -> None:
    with python_socketio(tmp_path / "log") as server:
        async with open_seats(server, 2) as clients:
            measured = await measure(server, clients, Load(seconds=0.2, content_bytes=50))
    assert measured.per_second > 0
    assert measured.percentile(0) <= measured.percentile(0.5) <= measured.percentile(1)


async def test_a_server_that_is_not_there_or_speaks_something_else_is_one_plain_error(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no connection"):
        async with open_client("http://127.0.0.1:1", {}):
            pass
    with pytest.raises(ServerError, match="no conversation"):
        Server("nobody", "http://127.0.0.1:1").create_conversation()
    with greenroom(tmp_path / "data") as server, pytest.raises(ClientError, match="refused"):
        async with open_client(server.url, {"conversation_id": "unknown"}):
            pass


async def test_the_client_sees_the_server_leave(tmp_path: Path) -> None:
    with greenroom(tmp_path / "data") as server:
        conversation = await trio.to_thread.run_sync(server.create_conversation)
        async with open_client(server.url, {"conversation_id": conversation}) as client:
            await client.send(codec.event("oh_user_action", {"action": "message", "args": {"content": "/note x"}}))
            seen: list[object] = []
            while not any("/note x" in str(event) for event in seen):
                seen += event_arguments(await client.receive(), "oh_event")
            await trio.to_thread.run_sync(_stop, server)
            with trio.fail_after(10), pytest.raises(ClientError):
                await _receive_for_ever(client)


async def _receive_for_ever(client: Client) -> None:
    while True:
        await client.receive()


def _stop(server: Server) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGTERM)


def test_the_raw_baseline_is_of_the_disk_that_is_measured(tmp_path: Path) -> None:
    raw = raw_syncs(tmp_path, 0.05)
    assert raw.per_second > 0
    assert raw.p50_seconds < 0.05
    assert list(tmp_path.iterdir()) == []
    assert filesystem_of(Path("/proc/self")) == ("proc" if sys.platform == "linux" else "unknown")
