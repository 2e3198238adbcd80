"""Clients that mean harm: each ends its own connection in bounded time, and a bystander notices nothing."""

import socket
import time
from typing import Any

import pytest
import trio

from bench.client import Client, event_arguments, open_client
from tests.e2e.server import ServerProcess
from transport.socketio import codec

pytestmark = pytest.mark.wallclock

HOST = b"Host: 127.0.0.1\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    + KEY
    + b"\r\n"
)
H2C = (
    b"GET /alive HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
)


def exchange(server: ServerProcess, data: bytes, seconds: float) -> tuple[bytes, bool]:
    """What comes back within `seconds`, and whether the server has ended the connection."""
    port = int(server.url.rpartition(":")[2])
    received = b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(data)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            client.settimeout(left)
            try:
                piece = client.recv(65_536)
            except TimeoutError:
                break
            except ConnectionError:
                return received, True
            if not piece:
                return received, True
            received += piece
    return received, False


CASES = {
    "unmasked frame": (UPGRADE + b"\x81\x0240", b"HTTP/1.1 101"),
    "oversized frame": (UPGRADE + b"\x81\xff" + (2**40).to_bytes(8, "big"), b"HTTP/1.1 101"),
    "bad opcode": (UPGRADE + b"\x8f\x80\0\0\0\0", b"HTTP/1.1 101"),
    "no Engine.IO packet": (UPGRADE + b"\x81\x81\0\0\0\0x", b"HTTP/1.1 101"),
    "not UTF-8": (UPGRADE + b"\x81\x81\0\0\0\0\xff", b"HTTP/1.1 101"),
    "junk": (b"\x16\x03\x01\0\0 what?\r\n\r\n", b"HTTP/1.1 400"),
    "h2 by prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 4"),
    "h2c": (H2C, b"HTTP/1.1 404"),
    "an upgrade elsewhere": (UPGRADE.replace(b"/socket.io/", b"/elsewhere/"), b"HTTP/1.1 404"),
    "an upgrade from a foreign origin": (
        UPGRADE.replace(HOST, HOST + b"Origin: http://evil.example\r\n"),
        b"HTTP/1.1 403",
    ),
    "a foreign Host": (b"GET /alive HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"HTTP/1.1 403"),
    "Connection: close": (b"GET /alive HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", b"HTTP/1.1 200"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_ends_that_connection_only_and_soon(server: ServerProcess, case: str) -> None:
    data, begin = CASES[case]
    received, ended = exchange(server, data, 5)
    assert received.startswith(begin), received
    assert ended
    assert server.request("GET", "/alive") == {"status": "ok"}


def test_a_byte_after_an_upgrade_request_is_the_beginning_of_a_frame(server: ServerProcess) -> None:
    received, ended = exchange(server, UPGRADE + b"\x81", 1)
    assert b'0{"sid":' in received
    assert not ended
    assert server.request("GET", "/alive") == {"status": "ok"}


def test_an_upgrade_on_a_reused_connection_works(server: ServerProcess) -> None:
    received, _ = exchange(server, b"GET /alive HTTP/1.1\r\n" + HOST + b"\r\n" + UPGRADE, 1)
    assert received.startswith(b"HTTP/1.1 200")
    assert b'0{"sid":' in received


def test_a_half_sent_head_is_ended_by_its_deadline(server: ServerProcess) -> None:
    _, ended = exchange(server, b"GET /alive HTTP/1.1\r\nHos", 12)
    assert ended


def test_a_client_that_never_reads_delays_nobody(server: ServerProcess) -> None:
    conversation_id = server.create()
    target = f"/socket.io/?EIO=4&transport=websocket&conversation_id={conversation_id}".encode()
    with socket.socket() as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleeper.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
        sleeper.sendall(UPGRADE.replace(b"/socket.io/?EIO=4&transport=websocket", target) + b"\x81\x82\0\0\0\x0040")
        server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": "/burst 3000 1000"})
        server.wait_for(conversation_id, "greenroom.run_ended", 30)
        assert server.request("GET", "/alive") == {"status": "ok"}


async def test_a_client_that_leaves_its_namespace_and_stays_costs_nothing_more(server: ServerProcess) -> None:
    conversation_id = await trio.to_thread.run_sync(server.create)
    path = f"/api/conversations/{conversation_id}/message"
    async with open_client(server.url, {"conversation_id": conversation_id}) as client:
        await client.send(codec.disconnect())
        await trio.to_thread.run_sync(server.request, "POST", path, {"message": "/burst 50"})
        await trio.to_thread.run_sync(server.wait_for, conversation_id, "greenroom.run_ended")
        before = server.cpu_seconds()
        await trio.sleep(1)
        assert server.cpu_seconds() - before < 0.3
        assert server.request("GET", f"/api/conversations/{conversation_id}")["num_connections"] == 0


async def test_a_client_that_joins_and_leaves_in_a_circle_is_one_client(server: ServerProcess) -> None:
    conversation_id = await trio.to_thread.run_sync(server.create)
    async with open_client(server.url, {"conversation_id": conversation_id}) as client:
        for _ in range(500):
            await client.send(codec.disconnect())
            await client.send(codec.connect())
        with trio.fail_after(10):
            while not any(event.get("id") == 0 or "status_update" in event for event in await _events(client)):
                pass
        await trio.sleep(0.5)
        assert server.request("GET", f"/api/conversations/{conversation_id}")["num_connections"] == 1
    await trio.sleep(0.5)
    assert server.request("GET", f"/api/conversations/{conversation_id}")["num_connections"] == 0


async def _events(client: Client) -> list[Any]:
    return event_arguments(await client.receive(), "oh_event")
