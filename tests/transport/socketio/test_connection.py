"""What a server may ask of one client, over a real WebSocket and by polling: acks, binary, volatile events, the end."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transport.wire import PATIENCE_SECONDS, Raw, Wire, open_wire
from transport.errors import AckTimeout, ConnectionClosed, NotEncodable, TooManyAcks
from transport.socketio import Connection

pytestmark = pytest.mark.wallclock


class Call:
    """One `call` under way."""

    def __init__(self, wire: Wire, connection: Connection, *args: Any, seconds: float | None = None) -> None:
        self.answer: list[Any] | None = None
        self.error: Exception | None = None
        self._done = trio.Event()
        wire.nursery.start_soon(self._run, connection, args, seconds)

    async def _run(self, connection: Connection, args: tuple[Any, ...], seconds: float | None) -> None:
        try:
            self.answer = await connection.call("ask", *args, timeout_seconds=seconds)
        except (AckTimeout, ConnectionClosed, TooManyAcks) as error:
            self.error = error
        self._done.set()

    async def done(self) -> "Call":
        with trio.fail_after(PATIENCE_SECONDS):
            await self._done.wait()
        return self


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked(0.02)


async def test_e14_the_server_asks_and_the_client_answers_in_any_order() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        first, second = Call(wire, wire.echo.joined[0], 1), Call(wire, wire.echo.joined[0], 2)
        # Two tasks: which of them is first is trio's choice.
        asked = {(await raw.frame())[1], (await raw.frame())[1]}
        assert {packet[:3] for packet in asked} == {b"420", b"421"}
        await raw.text('431["b"]')
        await raw.text("430[]")
        answers = [(await call.done()).answer for call in (first, second)]
        assert sorted(answers, key=str) == [["b"], []]
        assert wire.echo.joined[0].acks_outstanding == 0


async def test_e14_an_ack_may_carry_attachments_both_ways() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        call = Call(wire, wire.echo.joined[0], b"\x01")
        await raw.says('451-0["ask",{"_placeholder":true,"num":0}]')
        assert await raw.frame() == (2, b"\x01")
        await raw.text('461-0[{"_placeholder":true,"num":0},"x"]')
        await raw.binary(b"\x02")
        assert (await call.done()).answer == [b"\x02", "x"]


async def test_e15_no_answer_in_time_is_an_error_and_a_late_one_is_ignored() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        call = await Call(wire, wire.echo.joined[0], seconds=0.05).done()
        assert isinstance(call.error, AckTimeout)
        await raw.says('420["ask"]')
        await raw.text("430[1]")
        await raw.text('42["still"]')
        await raw.says('42["still"]')


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        pytest.param(lambda raw: raw.text("41"), "client namespace disconnect", id="client leaves"),
        pytest.param(lambda raw: raw.text("1"), "transport close", id="session closed"),
        pytest.param(lambda raw: raw.stream.aclose(), "transport close", id="socket closed"),
        pytest.param(lambda raw: raw.text('42["leave",false]'), "server namespace disconnect", id="server leaves"),
        pytest.param(lambda raw: raw.text("9"), "parse error", id="bad packet"),
    ],
)
async def test_e15_who_waits_is_told_when_the_client_leaves(leave: Callable[[Raw], Any], reason: str) -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        connection = wire.echo.joined[0]
        call = Call(wire, connection)
        await raw.says('420["ask"]')
        await leave(raw)
        error = (await call.done()).error
        assert isinstance(error, ConnectionClosed)
        assert reason in str(error)
        with pytest.raises(ConnectionClosed, match=reason):
            await connection.call("ask")


async def test_e15_outstanding_acks_are_bounded_by_name() -> None:
    async with open_wire(acks_max=1) as wire:
        raw = await wire.joined()
        Call(wire, wire.echo.joined[0])
        await raw.says('420["ask"]')
        with pytest.raises(TooManyAcks):
            wire.echo.joined[0].emit("ask", ack=lambda *_: None)
        assert wire.endpoint.limits.acks.refused == 1
        await raw.text("430[]")
        await settled()
        wire.echo.joined[0].emit("ask", ack=lambda *_: None)
        await raw.says('421["ask"]')


async def test_e15_a_callback_is_called_once() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        heard: list[tuple[Any, ...]] = []
        wire.echo.joined[0].emit("ask", ack=lambda *args: heard.append(args))
        await raw.says('420["ask"]')
        await raw.text('430[1,"a"]')
        await raw.text("430[2]")
        await raw.text('42["now"]')
        await raw.says('42["now"]')
        assert heard == [(1, "a")]


async def test_a_callback_that_crashes_ends_its_own_connection() -> None:
    async with open_wire() as wire:
        raw, other = await wire.joined(), await wire.joined()
        wire.echo.joined[0].emit("ask", ack=lambda: None)  # which takes no arguments
        await raw.says('420["ask"]')
        await raw.text("430[1]")
        assert (await raw.frames_until_eof())[-1][0] == 8
        await other.text('42["message"]')
        await other.says('42["message"]')


async def test_e11_what_cannot_be_sent_is_told_and_leaves_no_ack_behind() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        connection = wire.echo.joined[0]
        for args in (("connect",), ("x", object()), ("x", *[b""] * 11)):
            with pytest.raises(NotEncodable):
                await connection.call(*args)
            with pytest.raises(NotEncodable):
                connection.emit(*args)
        assert connection.acks_outstanding == 0
        connection.emit("x", *[b""] * 10)
        assert (await raw.frame())[1].startswith(b"4510-")


async def test_e30_a_volatile_event_is_dropped_unless_it_can_leave_now() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        connection = wire.echo.joined[0]
        assert connection.emit_volatile("tick", 1)
        await raw.says('42["tick",1]')
        connection.emit("big", "x" * 6_000_000)  # more than any kernel takes at once
        assert not connection.emit_volatile("tick", 2)
        await raw.frame()
        await settled()
        assert connection.emit_volatile("tick", 3)
        await raw.says('42["tick",3]')


async def test_e30_by_polling_only_a_get_that_waits_can_take_it() -> None:
    async with open_wire() as wire:
        sid = await wire.polling()
        await wire.post(sid, b"40")
        await wire.get(sid)
        connection = wire.echo.joined[0]
        assert not connection.emit_volatile("tick", 1)
        answers: list[tuple[int, bytes]] = []

        async def get() -> None:
            answers.append(await wire.get(sid))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(get)
            await settled()
            assert connection.emit_volatile("tick", 2)
            assert not connection.emit_volatile("tick", 3)
        assert answers == [(200, b'42["tick",2]')]


async def test_e25_the_server_may_end_every_namespace_with_the_transport() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text("40/custom,")
        assert (await raw.frame())[1].startswith(b"40/custom,")
        await raw.text('42["leave",true]')
        assert await raw.frames_until_eof() == [(1, b"41"), (1, b"41/custom,"), (8, b"")]
        assert wire.echo.reasons == ["server namespace disconnect"]


async def test_e26_a_dropped_client_is_told_nothing_and_so_comes_back() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        wire.echo.joined[0].drop()
        assert await raw.frames_until_eof() == [(8, b"")]
        assert wire.echo.reasons == ["forced close"]


async def test_namespaces_of_one_client_are_bounded() -> None:
    async with open_wire(namespaces_max=1) as wire:
        raw = await wire.joined()
        await raw.text("40/custom,")
        await raw.says('44/custom,{"message":"Too many namespaces"}')
        await raw.text("41")
        await raw.text("40/custom,")
        assert (await raw.frame())[1].startswith(b'40/custom,{"sid"')


async def test_a_client_that_is_held_is_not_read_and_not_given_up() -> None:
    async with open_wire(ping_interval_seconds=0.1, ping_timeout_seconds=0.1) as wire:
        raw = await wire.joined()
        connection = wire.echo.joined[0]
        connection.hold()
        await raw.text('42["read already"]')  # reading had begun when it was held
        await settled()
        wire.echo.heard.clear()
        await raw.text('42["later"]')
        await raw.text("3")
        await trio.sleep(0.5)  # several timeouts: the pong is there, only nobody reads it
        assert wire.echo.heard == []
        assert not connection.closed
        connection.release()
        with trio.fail_after(PATIENCE_SECONDS):
            while wire.echo.heard != [("later", [])]:
                await trio.sleep(0.01)


async def test_by_polling_a_held_client_waits_for_its_answer() -> None:
    async with open_wire() as wire:
        sid = await wire.polling()
        await wire.post(sid, b"40")
        await wire.get(sid)
        wire.echo.joined[0].hold()
        answers: list[tuple[int, bytes]] = []

        async def post() -> None:
            answers.append(await wire.post(sid, b'42["a"]'))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            await settled()
            assert answers == []
            wire.echo.joined[0].release()
        assert answers == [(200, b"ok")]
