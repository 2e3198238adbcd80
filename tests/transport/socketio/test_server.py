"""Namespaces, acknowledgements and endings over a real WebSocket, by the codes of the edges."""

import orjson
import pytest
import trio
from structlog.testing import capture_logs

from tests.transport.wire import PATIENCE_SECONDS, masked, open_wire

pytestmark = pytest.mark.wallclock


async def test_e8_e23_namespaces() -> None:
    async with open_wire() as wire:
        raw = await wire.websocket()
        await raw.text("40/nowhere,")
        await raw.says('44/nowhere,{"message":"Invalid namespace"}')
        await raw.text('40/custom,{"token":"x"}')
        answer = (await raw.frame())[1]
        assert answer.startswith(b'40/custom,{"sid":"')
        assert orjson.loads(answer[10:])["auth"] == {"token": "x"}  # E28
        await raw.text('42/custom,["message",1]')
        await raw.says('42/custom,["message",1]')
        assert not wire.echo.joined


async def test_e9_a_refusal_and_a_crash_are_told_and_the_client_may_try_again() -> None:
    async with open_wire() as wire:
        raw = await wire.websocket()
        await raw.text('40{"refuse":true}')
        await raw.says('44{"message":"no","data":{"why":"asked for"}}')
        await raw.text('40{"crash":true}')
        told = orjson.loads((await raw.frame())[1][2:])
        assert told["message"] == "Internal error"
        assert set(told["data"]) == {"error_id"}
        await raw.text("40")
        assert (await raw.frame())[1].startswith(b"40{")


async def test_e6_leave_and_join_in_one_segment() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.send(masked(0x81, b"41") + masked(0x81, b"40"))
        assert (await raw.frame())[1].startswith(b"40{")
        assert wire.echo.reasons == ["client namespace disconnect"]
        assert len(wire.echo.joined) == 1


async def test_e15_an_ack_goes_out_once_and_never_after_a_disconnect() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text('420["ask",1,"a"]')
        await raw.says('430[1,"a"]')
        await raw.text('421["ask"]')
        await raw.says("431[]")


async def test_e12_e13_unknown_events_and_acks_are_ignored() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text("4377[1]")
        await raw.text("43[1]")
        await raw.text('42["message"]')
        await raw.says('42["message"]')


async def test_e22_e25_e5_the_server_leaves_and_late_packets_are_tolerated() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text('42["leave",false]')
        await raw.says("41")
        await raw.text('42["late"]')
        await raw.text("41")
        await raw.text("40")
        assert (await raw.frame())[1].startswith(b"40{")
        assert wire.echo.reasons == ["server namespace disconnect"]


async def test_e25_the_server_leaves_and_closes() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text('42["leave",true]')
        assert await raw.frames_until_eof() == [(1, b"41"), (8, b"")]


async def test_e2_who_joins_nothing_is_closed() -> None:
    async with open_wire(connect_timeout_seconds=0.2) as wire:
        idle, joined = await wire.websocket(), await wire.joined()
        await idle.text("40/nowhere,")  # refused by every namespace counts as none
        assert (await idle.frames_until_eof())[-1][0] == 8
        await trio.sleep(0.3)
        await joined.text('42["message"]')
        await joined.says('42["message"]')


async def test_e1_an_event_before_any_connect_is_closed() -> None:
    async with open_wire() as wire:
        raw = await wire.websocket()
        await raw.text('42["message"]')
        assert (await raw.frames_until_eof())[-1][0] == 8


async def test_order_is_kept_over_a_thousand_events_sent_at_once() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()

        async def send() -> None:
            for number in range(1000):
                await raw.text(f'42["n",{number},"{"x" * 300}"]')

        wire.nursery.start_soon(send)
        with trio.fail_after(PATIENCE_SECONDS):
            for number in range(1000):
                assert (await raw.frame())[1].startswith(f'42["n",{number},'.encode())


async def test_a_handler_is_told_what_an_event_weighed_on_the_wire() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text('42["message","\u00e9"]')
        await raw.frame()
        await raw.text('451-["message",{"_placeholder":true,"num":0}]')
        await raw.send(masked(0x82, b"\x00" * 100))
        await raw.frame()
        assert wire.echo.sizes == [
            len('2["message","é"]'.encode()),
            len('51-["message",{"_placeholder":true,"num":0}]') + 100,
        ]


async def test_a_connections_tasks_die_with_it() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        ended = trio.Event()

        async def work() -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.set()

        wire.echo.joined[0].start_soon(work)
        await trio.testing.wait_all_tasks_blocked(0.02)
        await raw.text("1")
        with trio.fail_after(PATIENCE_SECONDS):
            await ended.wait()


async def test_a_crash_in_a_connections_task_ends_that_connection_alone() -> None:
    async with open_wire() as wire:
        raw, other = await wire.joined(), await wire.joined()

        async def work() -> None:
            await trio.lowlevel.checkpoint()
            raise RuntimeError("a bug in a task")

        broken = wire.echo.joined[0]
        with capture_logs() as lines:
            broken.start_soon(work)
            assert (await raw.frames_until_eof())[-1][0] == 8
        assert [line["connection"] for line in lines if line["event"] == "connection_task_crashed"] == [broken.sid]
        await other.text('42["message"]')
        await other.says('42["message"]')
