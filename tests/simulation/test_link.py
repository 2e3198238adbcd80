"""The links of a simulation do to the server what a real client's connection does."""

import pytest
import trio
import trio.testing

from tests.simulation.link import Link
from transport.engineio.codec import PacketType, message, text_packet
from transport.errors import ConnectionClosed

PING = text_packet(PacketType.PING).websocket_frame
HELLO = message("hello").websocket_frame


async def test_both_ways_whole_messages_in_order() -> None:
    link = Link()
    link.write(PING + HELLO)
    assert [await link.take(), await link.take()] == ["2", "4hello"]
    link.send("3")
    link.send("4hi")
    assert await link.receive() == ["3", "4hi"]


async def test_a_client_that_stalls_takes_nothing_until_it_goes_on() -> None:
    link = Link()
    link.stall()
    link.write(HELLO)
    assert link.buffered_bytes == len(HELLO)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.wait_below, 0)
        await trio.testing.wait_all_tasks_blocked()
        link.go_on()
    assert await link.take() == "4hello"


async def test_a_client_that_vanishes_is_not_heard_and_not_noticed() -> None:
    link = Link()
    link.vanish()
    link.send("4lost")
    link.write(HELLO)
    assert not link.closing
    with pytest.raises(EOFError):
        await link.take()


async def test_a_link_that_is_cut_ends_for_both() -> None:
    link = Link()
    link.write(HELLO)
    link.cut()
    link.write(HELLO)
    with pytest.raises(EOFError):
        await link.take()
    with pytest.raises(ConnectionClosed):
        await link.receive()
