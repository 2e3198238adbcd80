"""What a client can do to hurt: each case ends its own connection, in bounded time, and a bystander notices nothing."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.transport.wire import PATIENCE_SECONDS, Raw, Wire, masked, open_wire, upgrade_request
from transport.socketio.codec import event

pytestmark = pytest.mark.wallclock


@asynccontextmanager
async def bystander(**options: Any) -> AsyncIterator[Wire]:
    """A wire with somebody on it who must be served before, during and after."""
    async with open_wire(**options) as wire:
        innocent = await wire.joined()
        await innocent.text('42["message","before"]')
        await innocent.says('42["message","before"]')
        yield wire
        await innocent.text('42["message","after"]')
        await innocent.says('42["message","after"]')
        assert (await wire.request("GET", ""))[0] == 200


async def ends(raw: Raw) -> bytes:
    with trio.fail_after(PATIENCE_SECONDS):
        return await raw.until_eof()


@pytest.mark.parametrize("trailing", [b"\x00", b"\x81", b"junk" * 100, b"GET / HTTP/1.1\r\n\r\n"])
async def test_bytes_after_an_upgrade_request_end_only_that_connection(trailing: bytes) -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.send(upgrade_request() + trailing)
        await raw.stream.send_eof()
        assert (await ends(raw)).startswith(b"HTTP/1.1 101")


async def test_whole_frames_after_an_upgrade_request_are_served() -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.upgrade("", masked(0x81, b"40"))
        assert (await raw.frame())[1].startswith(b"0{")
        assert (await raw.frame())[1].startswith(b'40{"sid"')


async def test_pipelined_requests_and_then_an_upgrade_on_one_connection() -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        plain = b"GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await raw.send(plain + plain.replace(b"one", b"two") + upgrade_request() + masked(0x81, b"40"))
        assert await raw.answer() == (200, b"GET /one")
        assert await raw.answer() == (200, b"GET /two")
        assert (await raw.head())[0] == 101
        assert (await raw.frame())[1].startswith(b"0{")
        assert (await raw.frame())[1].startswith(b"40{")


async def test_junk_is_answered_400_and_closed() -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert (await ends(raw)).startswith(b"HTTP/1.1 400")


async def test_http2_prior_knowledge_is_not_spoken() -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9)
        assert b"101" not in (await ends(raw))[:20]


async def test_h2c_is_refused() -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.send(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        )
        assert (await ends(raw)).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        upgrade_request("", "Content-Length: 4"),
        upgrade_request("", "Transfer-Encoding: chunked"),
    ],
    ids=["two lengths", "an upgrade with a length", "an upgrade in chunks"],
)
async def test_what_somebody_in_between_may_read_otherwise_is_refused_and_closed(request_bytes: bytes) -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.send(request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await raw.answer() == (400, b'{"message":"Bad Request"}')
        assert await raw.until_eof() == b""


async def test_an_upgrade_by_post_is_refused() -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.send(upgrade_request().replace(b"GET", b"POST"))
        assert (await ends(raw)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "headers",
    [["X-Filler: " + "a" * 9000], [f"X-{n}: {n}" for n in range(300)], ["Sec-WebSocket-Key: second"]],
    ids=["a long header", "many headers", "two keys"],
)
async def test_an_upgrade_that_cannot_be_accepted_is_refused_by_http(headers: list[str]) -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        await raw.send(upgrade_request("", *headers))
        status, _ = await raw.head()
        assert 400 <= status < 500


async def test_a_head_larger_than_any_browsers_is_refused() -> None:
    async with bystander() as wire:
        raw = await wire.raw()
        with contextlib.suppress(trio.BrokenResourceError):
            await raw.send(b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000)
        assert (await ends(raw))[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02hi", 1002),
        (masked(0xC1, b"4x"), 1002),
        (masked(0x83, b""), 1002),
        (masked(0x81, b"4\xff\xfe"), 1007),
    ],
    ids=["unmasked", "reserved bit", "unknown opcode", "not UTF-8"],
)
async def test_b8_a_broken_frame_is_answered_with_its_close_code(frame: bytes, code: int) -> None:
    async with bystander() as wire:
        raw = await wire.joined()
        await raw.send(frame)
        opcode, payload = (await raw.frames_until_eof())[-1]
        assert (opcode, int.from_bytes(payload[:2], "big")) == (8, code)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
async def test_b7_a_message_too_large_is_answered_1009(binary: bool) -> None:  # noqa: FBT001 - a parametrized case
    async with bystander(max_payload_bytes=1000) as wire:
        raw = await wire.joined()
        await raw.send(masked(0x82 if binary else 0x81, b"4" * 300_000))
        opcode, payload = (await raw.frames_until_eof())[-1]
        assert (opcode, int.from_bytes(payload[:2], "big")) == (8, 1009)
        assert wire.echo.reasons == ["transport error"]


async def test_b7_a_message_of_exactly_the_limit_passes() -> None:
    async with bystander(max_payload_bytes=1000) as wire:
        raw = await wire.joined()
        text = '42["message","' + "é" * 491 + 'x"]'
        assert len(text.encode()) == 999
        await raw.text(text.replace("x", "xy"))
        await raw.says(text.replace("x", "xy"))
        await raw.text(text.replace("x", "xyz"))
        assert (await raw.frame())[0] == 8


async def test_fragments_count_together() -> None:
    async with bystander(max_payload_bytes=1000) as wire:
        raw = await wire.joined()
        await raw.send(masked(0x01, b"4" * 600) + masked(0x00, b"4" * 600))
        opcode, payload = (await raw.frames_until_eof())[-1]
        assert (opcode, int.from_bytes(payload[:2], "big")) == (8, 1009)


@pytest.mark.parametrize(
    "message",
    ["", "9", "2", "2probe", "1", "4", "47", "42", "42[]", '42{"a":1}', "42[null]", '42["connect"]', "45", "451-",
     '4511-["x"]', '450-["x"]', "40", "44{}", '42/nowhere,["x"]', '42["x",NaN]', '42["\\ud800"]', "41{}",
     "42" + "[" * 5000 + "]" * 5000, "42" + "9" * 100_000 + '["x"]', "40/" + "n" * 1000],
    ids=lambda text: f"{text[:12]!r} of {len(text)}",
)  # fmt: skip
async def test_a_bad_packet_ends_its_connection(message: str) -> None:
    async with bystander() as wire:
        raw = await wire.joined()
        await raw.text(message)
        assert (await raw.frames_until_eof())[-1][0] == 8
        await trio.testing.wait_all_tasks_blocked()
        assert len(wire.echo.reasons) == 1


async def test_e18_a_stray_binary_message_ends_its_connection() -> None:
    async with bystander() as wire:
        raw = await wire.joined()
        await raw.binary(b"stray")
        assert (await raw.frames_until_eof())[-1][0] == 8


async def test_a_crash_in_a_handler_ends_that_connection() -> None:
    async with bystander() as wire:
        raw = await wire.joined()
        await raw.text('42["crash"]')
        assert (await raw.frames_until_eof())[-1][0] == 8
        assert wire.echo.reasons == ["forced server close"]


async def test_k33_a_client_that_never_reads_is_dropped_and_costs_bounded_memory() -> None:
    async with bystander(write_timeout_seconds=0.5, outbox_hard_bytes=2_000_000) as wire:
        raw = await wire.joined()
        slow = wire.echo.joined[-1]
        raw.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        big = '42["message","' + "x" * 500_000 + '"]'
        with trio.fail_after(PATIENCE_SECONDS), contextlib.suppress(trio.BrokenResourceError):
            while not slow.closed:
                await raw.text(big)
        assert wire.echo.reasons == ["transport error"]


async def test_k33_what_is_sent_is_with_the_kernel_before_anybody_else_has_a_turn_and_is_encoded_once() -> None:
    async with bystander() as wire:
        clients = [await wire.joined() for _ in range(20)]
        packet = event("message", "x")
        for connection in wire.echo.joined[-20:]:
            assert connection.try_send(packet)
        # No await in between: no task has been woken for it.
        frames = [os.read(client.stream.socket.fileno(), 100) for client in clients]
        assert frames == [packet.websocket_frame] * 20
        assert packet.websocket_frame is packet.websocket_frame


async def test_k33_what_the_kernel_refuses_waits_and_leaves_by_itself_when_it_takes_more() -> None:
    async with bystander(outbox_high_bytes=100_000) as wire:
        raw = await wire.joined()
        slow, sent = wire.echo.joined[-1], 0
        while slow.try_send(event("n", sent, "x" * 10_000)):
            sent += 1
        assert not slow.emit_volatile("dropped")  # something waits
        for number in range(sent):
            assert (await raw.frame())[1].startswith(f'42["n",{number},'.encode())
        await trio.testing.wait_all_tasks_blocked()
        assert slow.emit_volatile("taken")
        await raw.says('42["taken"]')


async def test_k33_no_progress_for_the_write_timeout_ends_the_connection() -> None:
    async with bystander(write_timeout_seconds=0.3, outbox_high_bytes=100_000) as wire:
        await wire.joined()
        slow = wire.echo.joined[-1]
        packet = event("message", "x" * 50_000)
        with capture_logs() as lines, trio.fail_after(PATIENCE_SECONDS):
            while slow.try_send(packet):
                pass
            assert not slow.closed
            while not slow.closed:
                await trio.sleep(0.05)
        assert [line["connection"] for line in lines if line["event"] == "slow_reader_closed"] == [slow.sid]


async def test_a_flood_to_one_who_reads_slowly_arrives_whole() -> None:
    async with bystander() as wire:
        raw = await wire.joined()
        fast = wire.echo.joined[-1]

        async def produce() -> None:
            for number in range(2000):
                packet = event("n", number, "x" * 1000)
                while not fast.try_send(packet):
                    await fast.wait_writable()

        wire.nursery.start_soon(produce)
        for number in range(2000):
            assert (await raw.frame())[1].startswith(f'42["n",{number},'.encode())


async def test_a_client_that_vanishes_is_noticed() -> None:
    async with bystander() as wire:
        raw = await wire.joined()
        await raw.stream.aclose()
        with trio.fail_after(PATIENCE_SECONDS):
            while not wire.echo.reasons:
                await trio.sleep(0.01)
        assert wire.echo.reasons[0] in ("transport close", "transport error")


async def test_a_half_sent_head_is_dropped_after_its_deadline() -> None:
    async with bystander(head_timeout_seconds=0.3) as wire:
        raw = await wire.raw()
        await raw.send(b"GET /socket.io/ HTT")
        for _ in range(3):  # a byte now and then does not buy time
            await trio.sleep(0.1)
            with contextlib.suppress(trio.BrokenResourceError):
                await raw.send(b"P")
        await ends(raw)


async def test_a_half_sent_body_is_dropped_after_its_deadline() -> None:
    async with bystander(body_timeout_seconds=0.3) as wire:
        sid = await wire.polling()
        raw = await wire.raw()
        target = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        await raw.send(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n4".encode())
        await ends(raw)


async def test_an_http_client_that_never_reads_its_answer_is_dropped() -> None:
    async with bystander(write_timeout_seconds=0.3) as wire:
        raw = await wire.raw()
        raw.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        requests = b"".join(b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 8000) for _ in range(50))

        async def ask() -> None:
            while True:
                await raw.send(requests)

        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(trio.BrokenResourceError):
            await ask()


async def test_an_http_client_that_reads_slowly_and_steadily_gets_all_of_its_answer() -> None:
    async with bystander(write_timeout_seconds=0.6) as wire:
        sid = await wire.polling()
        await wire.post(sid, b"40")
        await wire.get(sid)
        packet = event("message", "x" * 3_000_000)
        wire.echo.joined[-1].send(packet)
        raw = await wire.raw()
        raw.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
        await raw.send_request("GET", f"/socket.io/?EIO=4&transport=polling&sid={sid}")
        began = trio.current_time()
        while len(raw.buffer) < packet.size and (data := await raw.stream.receive_some(100_000)):
            raw.buffer += data
            await trio.sleep(0.05)
        assert trio.current_time() - began > 2 * 0.6  # or it shows nothing
        assert raw.buffer.endswith(packet.text)


async def test_the_server_stops_although_clients_hang() -> None:
    async with open_wire() as wire:
        sid = await wire.polling()
        hung = await wire.raw()
        await hung.send_request("GET", f"/socket.io/?EIO=4&transport=polling&sid={sid}")
        silent = await wire.joined()
        await trio.testing.wait_all_tasks_blocked()
        wire.stopping.set()
        await wire.endpoint.close_all(0.1)
        assert (await hung.answer())[1] == b"1"
        frames = await silent.frames_until_eof()
        assert [opcode for opcode, _ in frames] == [8]  # K35, E35: no DISCONNECT packet
        assert wire.echo.reasons == ["server shutting down"]
