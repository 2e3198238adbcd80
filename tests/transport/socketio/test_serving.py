"""`serve`: a port, a path, which pages may talk to it, and how it stops."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from tests.transport.wire import PATIENCE_SECONDS, Raw, upgrade_request
from transport.socketio import Namespace, Options, Peer, Server, serve

pytestmark = pytest.mark.wallclock

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
FORBIDDEN = (403, b'{"code":4,"message":"Forbidden"}')
ELSEWHERE = "Origin: http://elsewhere.example"


@asynccontextmanager
async def serving(server: Server | None = None, **options: Any) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(serve, server or Server({"/": Namespace()}), "127.0.0.1", 0, **options))
        yield listeners[0].socket.getsockname()[1]
        if "stopping" not in options:
            nursery.cancel_scope.cancel()


async def connect(port: int) -> Raw:
    return Raw(await trio.open_tcp_stream("127.0.0.1", port))


async def ask(port: int, method: str, target: str, *headers: str) -> tuple[int, bytes]:
    raw = await connect(port)
    async with raw.stream:
        await raw.send_request(method, target, b"", *headers)
        return await raw.answer()


@pytest.mark.parametrize("path", ["/socket.io", "/", "/other/?EIO=4&transport=polling"])
async def test_a28_what_is_not_below_the_path_is_not_there(path: str) -> None:
    async with serving() as port:
        assert (await ask(port, "GET", path))[0] == 404
        assert (await ask(port, "GET", HANDSHAKE.replace("/?", "/deeper?")))[0] == 200
        raw = await connect(port)
        await raw.send(upgrade_request().replace(b"/socket.io/?", f"{path}?".encode(), 1))
        assert (await raw.head())[0] == 404


async def test_a28_the_path_is_an_option() -> None:
    async with serving(path="/engine.io/") as port:
        assert (await ask(port, "GET", HANDSHAKE.replace("socket", "engine")))[0] == 200
        assert (await ask(port, "GET", HANDSHAKE))[0] == 404


async def test_a25_pages_of_other_origins_are_refused_on_both_transports() -> None:
    async with serving() as port:
        assert await ask(port, "GET", HANDSHAKE, ELSEWHERE) == FORBIDDEN
        raw = await connect(port)
        await raw.send(upgrade_request("", ELSEWHERE))
        assert await raw.answer() == (403, b"Forbidden")


async def test_a25_a_permitted_origin_gets_its_headers_on_every_answer() -> None:
    async with serving(permitted_origins=["http://elsewhere.example"]) as port:
        for method, target, status in (
            ("OPTIONS", HANDSHAKE, 204),
            ("GET", HANDSHAKE, 200),
            ("GET", f"{HANDSHAKE}&sid=nobody", 400),
        ):
            raw = await connect(port)
            await raw.send_request(method, target, b"", ELSEWHERE)
            found, headers = await raw.head()
            assert (found, headers["access-control-allow-origin"]) == (status, "http://elsewhere.example")
        raw = await connect(port)
        await raw.send(upgrade_request("", ELSEWHERE))
        assert (await raw.head())[0] == 101


async def test_a_rebound_name_is_no_loopback() -> None:
    async with serving() as port:
        raw = await connect(port)
        await raw.send(f"GET {HANDSHAKE} HTTP/1.1\r\nHost: rebound.example\r\n\r\n".encode())
        assert await raw.answer() == FORBIDDEN


async def test_a_proxy_brings_its_own_name_and_many_clients() -> None:
    server = Server({"/": Namespace()}, Options(connections_per_address=1), whose=lambda peer: peer.headers["x-who"])
    async with serving(server, permitted_hosts=["named.example"], whom=lambda _: None) as port:
        for who, status in (("a", 200), ("b", 200), ("a", 429)):
            raw = await connect(port)  # and stays
            head = f"GET {HANDSHAKE} HTTP/1.1\r\nHost: named.example\r\nX-Who: {who}\r\n"
            await raw.send(f"{head}Origin: https://named.example\r\n\r\n".encode())
            assert (await raw.answer())[0] == status


async def test_a1_who_is_not_admitted_is_answered_403_before_anything_is_made() -> None:
    asked: list[Peer] = []

    def admits(peer: Peer) -> bool:
        asked.append(peer)
        return peer.query.get("ticket") == "good"

    server = Server({"/": Namespace()}, admits=admits)
    async with serving(server) as port:
        assert await ask(port, "GET", HANDSHAKE, "X-Who: me") == FORBIDDEN
        raw = await connect(port)
        await raw.send(upgrade_request("&ticket=bad"))
        assert await raw.answer() == (403, b"Forbidden")
        assert server.endpoint.statistics()["sessions"] == 0
        assert (asked[0].headers["x-who"], asked[0].remote) == ("me", "127.0.0.1")
        assert (await ask(port, "GET", f"{HANDSHAKE}&ticket=good"))[0] == 200
        raw = await connect(port)
        await raw.send(upgrade_request("&ticket=good"))
        assert (await raw.head())[0] == 101


async def test_e35_a_server_that_stops_closes_transports_without_a_disconnect() -> None:
    stopping, reasons = trio.Event(), []
    namespace = Namespace()
    namespace.on_disconnected(lambda _, reason: reasons.append(reason))
    async with serving(Server({"/": namespace}), stopping=stopping) as port:
        raw = await connect(port)
        await raw.upgrade()
        await raw.text("40")
        assert [(await raw.frame())[1][:2] for _ in range(2)] == [b"0{", b"40"]
        stopping.set()
        assert await raw.frames_until_eof() == [(8, b"")]
        assert reasons == ["server shutting down"]


async def test_a_port_that_is_taken_is_an_os_error() -> None:
    async with serving() as port:
        with pytest.raises(OSError, match="in use"):
            with trio.fail_after(PATIENCE_SECONDS):
                await serve(Server({}), "127.0.0.1", port)
