"""Limits on the wire as clients meet them: who is one too many is told why, and everybody else goes on."""

from functools import partial

import orjson
import pytest
import trio

from tests.transport.wire import PATIENCE_SECONDS, Raw, Wire, masked, open_wire
from transport.doorway import Doorway
from transport.engineio.limits import Limits
from transport.engineio.options import Options
from transport.proxies import TrustedProxies, networks
from transport.socketio.codec import event

pytestmark = pytest.mark.wallclock

ASK = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
HERE, THERE = "127.0.0.1", "127.0.0.2"


async def asked(wire: Wire, source: str = HERE) -> Raw:
    """A connection that has had one answer, and stays."""
    raw = await wire.raw(source)
    await raw.send(ASK)
    assert await raw.answer() == (200, b"GET /x")
    return raw


async def turned_away(raw: Raw) -> tuple[int, str]:
    """Status and message of the answer that ends a connection."""
    status, body = await raw.answer()
    assert await raw.until_eof() == b""
    return status, str(orjson.loads(body)["message"])


async def until_timed_out(wire: Wire, count: dict[str, int]) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while +wire.endpoint.limits.timeouts != count:
            await trio.sleep(0.01)


async def until_used(wire: Wire, name: str, count: int) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while dict(wire.endpoint.limits)[name].used != count:
            await trio.sleep(0.01)


async def test_a_connection_beyond_all_is_told_so_and_the_next_gets_its_room() -> None:
    async with open_wire(connections_max=2) as wire:
        first, _ = await asked(wire), await asked(wire)
        third = await wire.raw()
        await third.send(ASK)
        assert await turned_away(third) == (503, "The server has as many connections as it takes")
        await first.stream.aclose()
        await until_used(wire, "connections", 1)
        await asked(wire)
        assert wire.endpoint.limits.connections.refused == 1


async def test_one_address_takes_no_more_than_its_part() -> None:
    async with open_wire(connections_per_address=2) as wire:
        first, _ = await asked(wire), await asked(wire)
        third = await wire.raw()
        await third.send(ASK)
        assert await turned_away(third) == (429, "Too many connections from this address")
        await asked(wire, THERE)
        await first.stream.aclose()
        await until_used(wire, "connections_per_address", 1)
        await asked(wire)
        assert wire.endpoint.limits.connections_per_address.refused == 1


def test_a_proxy_is_nobody_and_each_other_address_its_owner() -> None:
    doorway = Doorway(Limits(Options(connections_per_address=1)), TrustedProxies(networks("10.0.0.0/8")).owner)
    assert [doorway.enter("10.0.0.1") for _ in range(3)] == [None] * 3
    assert doorway.enter("2001:db8::1") is None
    assert doorway.enter("2001:db8::2") is not None  # the same /64
    doorway.leave("2001:db8::1")
    assert doorway.enter("2001:db8::2") is None
    assert doorway.limits.connections.used == 4


async def test_who_has_waited_longest_without_asking_makes_room() -> None:
    async with open_wire(handshakes_max=2) as wire:
        oldest = await wire.raw()
        await oldest.send(ASK[:-2])
        await until_used(wire, "handshakes", 1)
        older, newest = await wire.raw(), await wire.raw()
        assert (await turned_away(oldest))[0] == 503
        for raw in (older, newest):
            await raw.send(ASK)
            assert (await raw.answer())[0] == 200
        assert (wire.endpoint.limits.handshakes.used, wire.endpoint.limits.handshakes.refused) == (0, 1)


async def test_who_has_asked_once_is_no_newcomer() -> None:
    async with open_wire(handshakes_max=1) as wire:
        known = [await asked(wire) for _ in range(5)]
        for raw in known:
            await raw.send(ASK)
            assert (await raw.answer())[0] == 200
        assert wire.endpoint.limits.handshakes.refused == 0


@pytest.mark.parametrize(
    ("sent", "told", "count"),
    [(b"", b"", {"head": 1}), (ASK[:-2], b"HTTP/1.1 408", {"head": 1}), (b"G", b"HTTP/1.1 408", {"head": 1})],
    ids=["nothing", "a head without its end", "one byte"],
)
async def test_a_head_has_its_time_and_who_said_nothing_is_told_nothing(
    sent: bytes, told: bytes, count: dict[str, int]
) -> None:
    async with open_wire(head_timeout_seconds=0.2) as wire:
        raw = await wire.raw()
        await raw.send(sent)
        assert (await raw.until_eof())[:12] == told
        await until_timed_out(wire, count)


async def test_a_pause_between_two_requests_is_no_slow_head() -> None:
    async with open_wire(head_timeout_seconds=0.2) as wire:
        raw = await asked(wire)
        await trio.sleep(0.4)
        await raw.send(ASK)
        assert (await raw.answer())[0] == 200


async def test_a_body_has_its_time() -> None:
    async with open_wire(body_timeout_seconds=0.2) as wire:
        sid = await wire.polling()
        raw = await wire.raw()
        target = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        await raw.send(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n4".encode())
        assert (await raw.head())[0] == 408
        await raw.until_eof()


async def test_sessions_by_polling_count_although_they_have_no_connection() -> None:
    async with open_wire(connections_per_address=3) as wire:
        for _ in range(3):
            await wire.polling()
        status, body = await wire.get("")
        assert (status, orjson.loads(body)) == (429, {"code": 4, "message": "Too many sessions from this address"})
        raw = await wire.raw(HERE)
        await raw.send_request("GET", "/socket.io/?EIO=4&transport=websocket", b"", "Upgrade: websocket")
        assert await raw.answer() == (429, b"Too many sessions from this address")
        elsewhere = await wire.raw(THERE)
        await elsewhere.upgrade()
        assert wire.endpoint.limits.sessions_per_address.refused == 2


async def test_a_session_that_ends_gives_its_room_back() -> None:
    async with open_wire(sessions_max=1) as wire:
        raw = await wire.websocket()
        assert (await wire.get(""))[0] == 503
        await raw.text("1")
        await raw.frames_until_eof()
        await until_used(wire, "sessions", 0)
        await wire.websocket()


BIG = 100_000
part = partial(masked, 0x01)


async def test_what_is_unfinished_is_bounded_for_all_together() -> None:
    async with open_wire(buffered_bytes_max=3 * BIG) as wire:
        for _ in range(3):
            raw = await wire.joined()
            await raw.send(part(b"4" * BIG))
        await until_used(wire, "buffered_bytes", 3 * BIG)
        # Who needs little still gets it,
        modest = await wire.joined()
        await modest.send(part(b'42["message",') + masked(0x80, b'"small"]'))
        await modest.says('42["message","small"]')
        # and who is one too many is told so: by a close frame, by an answer.
        greedy = await wire.joined()
        await greedy.send(part(b"4" * BIG))
        opcode, payload = (await greedy.frames_until_eof())[-1]
        assert (opcode, int.from_bytes(payload[:2], "big")) == (8, 1013)
        sid = await wire.polling()
        status, body = await wire.post(sid, b"4" * BIG)
        assert (status, orjson.loads(body)["code"]) == (503, 4)
        assert wire.endpoint.limits.buffered_bytes.refused == 2
        for client in wire.clients:
            client.socket.close()
        await until_used(wire, "buffered_bytes", 0)


async def test_what_is_not_taken_is_bounded_for_all_together() -> None:
    async with open_wire(buffered_bytes_max=1_000_000, farewell_seconds=0.1) as wire:
        for _ in range(2):
            await wire.post(await wire.polling(), b"40")
        hoarder, modest = wire.echo.joined  # by polling nothing leaves before it is fetched
        packet = event("message", "x" * BIG)
        for _ in range(10):
            assert not hoarder.closed
            hoarder.send(packet)
        assert not hoarder.try_send(packet)
        modest.send(packet)
        assert not modest.try_send(packet)
        hoarder.send(packet)
        assert hoarder.closed
        assert not modest.closed
        assert wire.endpoint.limits.outbox_bytes.refused == 1
        modest.drop()
        await until_used(wire, "buffered_bytes", 0)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (part(b"4" * 10), "transport error"),
        (masked(0x81, b'452-["message",{"_placeholder":true,"num":0}]') + masked(0x82, b"one of two"), "forced close"),
    ],
    ids=["a fragmented message", "an event with attachments"],
)
async def test_what_has_begun_must_become_whole_in_time(frames: bytes, reason: str) -> None:
    async with open_wire(body_timeout_seconds=0.3) as wire:
        raw = await wire.joined()
        await raw.send(frames)
        assert (await raw.frames_until_eof())[-1][0] == 8
        assert wire.echo.reasons == [reason]
        await until_timed_out(wire, {"message": 1})


async def test_the_time_is_that_of_each_message() -> None:
    async with open_wire(body_timeout_seconds=0.5) as wire:
        raw = await wire.joined()
        for number in range(8):
            # The end of one and the beginning of the next, always: nothing is ever whole.
            head, tail = part(f'42["message",{number}'.encode()), masked(0x80, b"]")
            await raw.send(tail[:0] if number == 0 else b"")
            await raw.send(head)
            await trio.sleep(0.1)
            await raw.send(tail)
            await raw.says(f'42["message",{number}]')


async def send_for_ever(raw: Raw, data: bytes) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            await raw.send(data)


async def test_who_has_finished_may_pause() -> None:
    async with open_wire(body_timeout_seconds=0.2) as wire:
        raw = await wire.joined()
        pong = masked(0x8A, b"still here")
        await raw.send(pong[:5])
        await trio.sleep(0.05)
        await raw.send(pong[5:])
        await trio.sleep(0.4)
        await raw.text('42["message"]')
        await raw.says('42["message"]')


async def test_b8_pongs_for_somebody_who_does_not_read_are_bounded() -> None:
    async with open_wire(outbox_hard_bytes=100_000) as wire:
        raw = await wire.joined()
        pings = masked(0x89, b"x" * 125) * 1000
        with pytest.raises(trio.BrokenResourceError):
            await send_for_ever(raw, pings)
        await until_used(wire, "sessions", 0)
        assert wire.endpoint.limits.outbox_bytes.refused == 1
        assert wire.endpoint.limits.buffered_bytes.used == 0


async def test_namespaces_and_messages_too_large_are_counted() -> None:
    async with open_wire(namespaces_max=1, max_payload_bytes=1000) as wire:
        raw = await wire.joined()
        await raw.text("40/custom,")
        await raw.says('44/custom,{"message":"Too many namespaces"}')
        await raw.text("4" * 2000)
        assert (await raw.frames_until_eof())[-1][1][:2] == (1009).to_bytes(2, "big")
        sid = await wire.polling()
        assert (await wire.post(sid, b"4" * 2000))[0] == 413
        limits = wire.endpoint.limits
        assert (limits.namespaces.refused, limits.payload_bytes.refused) == (1, 2)
