"""One client that sends as fast as it can: between any few of its bytes everybody else has a turn of the loop."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from tests.transport.wire import PATIENCE_SECONDS, Wire, masked, open_wire
from transport.engineio.websocket import PIECE_BYTES

pytestmark = pytest.mark.wallclock

FLOOD_BYTES = 200_000
"""Some reads of the server's, each of which would be one turn if it were not cut into pieces."""

LAST = '42["message","last"]'

FLOODS: dict[str, bytes] = {
    "events": masked(0x81, b'42["n"]'),
    "events of 300 bytes": masked(0x81, b'42["n","' + b"x" * 300 + b'"]'),
    "pings": masked(0x89, b""),
    "pongs": masked(0x8A, b""),
    "packets that mean nothing": masked(0x81, b"6"),
    "messages in fragments of a byte": masked(0x01, b'42["n') + masked(0x00, b"n") * 100 + masked(0x80, b'"]'),
    "leaving and joining": masked(0x81, b"41/custom,") + masked(0x81, b"40/custom,"),
    "namespaces of nobody": masked(0x81, b"40/nowhere,"),
}


async def turns_of_others(wire: Wire, work: Callable[[], Awaitable[None]]) -> int:
    """How often somebody who always wants to run has run while this was done."""
    turns, done = 0, trio.Event()

    async def do() -> None:
        await work()
        done.set()

    wire.nursery.start_soon(do)
    with trio.fail_after(PATIENCE_SECONDS):
        while not done.is_set():
            await trio.lowlevel.checkpoint()
            turns += 1
    return turns


@pytest.mark.parametrize("case", FLOODS)
async def test_others_have_a_turn_for_every_few_bytes_of_a_flood(case: str) -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text("40/custom,")
        await raw.frame()
        flood = FLOODS[case] * (FLOOD_BYTES // len(FLOODS[case])) + masked(0x81, LAST.encode())

        async def flood_and_hear_the_last() -> None:
            await raw.send(flood)
            while (await raw.frame())[1] != LAST.encode():
                pass

        assert await turns_of_others(wire, flood_and_hear_the_last) > FLOOD_BYTES / PIECE_BYTES


async def test_a_large_message_needs_no_turn_for_each_of_its_pieces() -> None:
    """Nothing is done for them but to keep them, and others would be served a thousand times before it is whole."""
    async with open_wire() as wire:
        raw = await wire.joined()
        message = '42["message","' + "x" * 900_000 + '"]'

        async def send_and_hear() -> None:
            await raw.text(message)
            await raw.says(message)

        assert await turns_of_others(wire, send_and_hear) < len(message) / PIECE_BYTES


async def test_a_flood_on_many_connections_is_a_turn_for_each() -> None:
    """So what one client waits for the others grows with their number, and not with what they send."""
    async with open_wire() as wire:
        floods = [await wire.joined() for _ in range(5)]
        quiet = await wire.joined()
        for raw in floods:
            await raw.send(masked(0x81, b'42["n"]') * (FLOOD_BYTES // 13))

        async def ask_and_hear() -> None:
            await quiet.text(LAST)
            await quiet.says(LAST)

        assert await turns_of_others(wire, ask_and_hear) < 20
