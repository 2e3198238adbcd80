"""Engine.IO by WebSocket and the upgrade to it, by the codes of the edges, through the real listener."""

import socket

import orjson
import pytest
import trio
import trio.testing

from tests.transport.wire import PATIENCE_SECONDS, Raw, Wire, masked, open_wire, upgrade_request
from transport.engineio.limits import Limits
from transport.engineio.options import Options
from transport.engineio.websocket import WebSocket
from transport.errors import ConnectionClosed

pytestmark = pytest.mark.wallclock


async def probing(wire: Wire, sid: str) -> Raw:
    raw = await wire.raw()
    await raw.upgrade(f"&sid={sid}")
    await raw.text("2probe")
    await raw.says("3probe")
    return raw


async def joined(wire: Wire) -> str:
    sid = await wire.polling()
    await wire.post(sid, b"40")
    assert (await wire.get(sid))[1].startswith(b"40{")
    return sid


async def test_a30_the_two_sids_differ_and_the_opening_tells_the_limits() -> None:
    async with open_wire(max_payload_bytes=4096) as wire:
        raw = await wire.raw()
        await raw.upgrade()
        opened = orjson.loads((await raw.frame())[1][1:])
        expected = {"upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 4096}
        assert opened == {"sid": opened["sid"], **expected}
        await raw.text("40")
        assert orjson.loads((await raw.frame())[1][2:])["sid"] != opened["sid"]


@pytest.mark.parametrize("query", ["&EIO=3", "&EIO=", "&transport=polling", "&transport=zzz", "&sid=nobody"])
async def test_b1_b2_b3_a_refused_upgrade_is_http(query: str) -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send(upgrade_request(query))
        status, headers = await raw.head()
        assert (status, headers["content-type"], headers["connection"]) == (400, "text/html", "close")


async def test_b4_e31_deflate_is_not_negotiated() -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send(upgrade_request("", "Sec-WebSocket-Extensions: permessage-deflate"))
        status, headers = await raw.head()
        assert status == 101
        assert "sec-websocket-extensions" not in headers


async def test_b5_a_subprotocol_is_not_required() -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.upgrade("", b"", "Sec-WebSocket-Protocol: chat")
        assert (await raw.frame())[1].startswith(b"0{")


async def test_b6_fragments_pings_and_binary() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.send(masked(0x01, b'42["mess') + masked(0x89, b"hi") + masked(0x80, b'age"]'))
        frames = [await raw.frame(), await raw.frame()]
        assert sorted(frames) == [(1, b'42["message"]'), (10, b"hi")]
        await raw.text('451-["message",{"_placeholder":true,"num":0}]')
        await raw.binary(b"")
        await raw.says('451-["message",{"_placeholder":true,"num":0}]')
        assert await raw.frame() == (2, b"")


async def test_a_clients_close_frame_is_answered_and_the_connection_ends() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.send(masked(0x88, (1000).to_bytes(2, "big")))
        assert await raw.frames_until_eof() == [(8, (1000).to_bytes(2, "big"))]
        assert wire.echo.reasons == ["transport close"]


async def test_c1_c2_pings_go_out_while_nobody_talks_and_silence_ends_it() -> None:
    async with open_wire(ping_interval_seconds=0.1, ping_timeout_seconds=0.3) as wire:
        raw = await wire.joined()
        for _ in range(3):
            await raw.says("2")
            await raw.text("3")
        await raw.says("2")
        assert (await raw.frames_until_eof())[-1][0] == 8
        assert wire.echo.reasons == ["ping timeout"]


async def test_c1_a_ping_that_is_due_in_the_midst_of_many_messages_loses_none_of_them() -> None:
    async with open_wire(ping_interval_seconds=0.001, ping_timeout_seconds=PATIENCE_SECONDS) as wire:
        raw = await wire.websocket()
        await raw.text("40")
        while (await raw.frame())[1] == b"2":
            await raw.text("3")
        pings = 0
        for start in range(0, 10_000, 1000):
            await raw.send(b"".join(masked(0x81, b'42["n",%d]' % number) for number in range(start, start + 1000)))
            expected = start
            while expected < start + 1000:
                said = (await raw.frame())[1]
                if said == b"2":
                    pings += 1
                    await raw.text("3")
                else:
                    assert said == b'42["n",%d]' % expected
                    expected += 1
        assert pings > 0


async def test_d1_d2_d7_an_upgrade_loses_and_repeats_nothing() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        poll = await wire.raw()
        await poll.send_request("GET", f"/socket.io/?EIO=4&transport=polling&sid={sid}")
        await trio.testing.wait_all_tasks_blocked(0.05)
        websocket = await probing(wire, sid)
        assert await poll.answer() == (200, b"6")
        await wire.post(sid, b'42["n",1]\x1e42["n",2]')  # D6
        assert await wire.get(sid) == (200, b'42["n",1]\x1e42["n",2]')
        await wire.post(sid, b'42["n",3]\x1e42["n",4]')
        await websocket.text("5")
        await websocket.text('42["n",5]')
        for number in (3, 4, 5):
            await websocket.says(f'42["n",{number}]')
        assert (await wire.get(sid))[0] == 400  # D11
        assert (await wire.post(sid, b"6"))[0] == 400


async def test_d3_d5_a_bad_or_lost_probe_leaves_polling_alone() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        hasty = await wire.raw()
        await hasty.upgrade(f"&sid={sid}")
        await hasty.text("5")
        assert (await hasty.frames_until_eof())[-1][0] == 8
        lost = await probing(wire, sid)
        await lost.stream.aclose()
        await wire.post(sid, b'42["still"]')
        with trio.fail_after(PATIENCE_SECONDS):
            while (answer := await wire.get(sid)) == (200, b"6"):
                pass
        assert answer == (200, b'42["still"]')
        websocket = await probing(wire, sid)
        await websocket.text("5")
        await websocket.text('42["here"]')
        await websocket.says('42["here"]')


async def test_d9_d12_a_second_websocket_is_closed_and_the_first_lives() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        first = await probing(wire, sid)
        second = await wire.raw()
        await second.upgrade(f"&sid={sid}")
        assert (await second.frames_until_eof())[-1][0] == 8
        await first.text("5")
        await first.text('42["mine"]')
        await first.says('42["mine"]')
        thief = await wire.raw()
        await thief.upgrade(f"&sid={sid}")
        assert (await thief.frames_until_eof())[-1][0] == 8
        await first.text('42["mine"]')
        await first.says('42["mine"]')


async def test_d10_an_upgrade_that_stalls_ends_in_time() -> None:
    async with open_wire(upgrade_timeout_seconds=0.2) as wire:
        sid = await joined(wire)
        stalled = await probing(wire, sid)
        assert (await stalled.frames_until_eof())[-1][0] == 8
        assert (await wire.post(sid, b"6"))[0] == 200


async def test_d13_a_session_that_ends_takes_its_probe_with_it() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        probe = await probing(wire, sid)
        await wire.post(sid, b"1")
        assert (await probe.frames_until_eof())[-1][0] == 8


@pytest.mark.parametrize("how", ["drop", "leave"])
async def test_d13_what_the_server_ends_in_the_middle_of_an_upgrade_is_said_when_the_upgrade_is_there(how: str) -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        probe = await probing(wire, sid)
        connection = wire.echo.joined[0]
        if how == "drop":
            connection.drop()
        else:
            connection.disconnect(close_transport=True)
        # The client polls no more: it has paused, and waits for its own `5` to leave.
        await probe.text("5")
        last = [(1, b"41")] if how == "leave" else []
        assert await probe.frames_until_eof() == [*last, (8, b"")]
        assert (await wire.get(sid))[0] == 400


async def test_d13_who_polls_on_instead_is_told_by_its_get() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        probe = await probing(wire, sid)
        wire.echo.joined[0].drop()
        assert await wire.get(sid) == (200, b"1")
        assert await probe.frames_until_eof() == [(8, b"")]


async def test_d13_who_does_neither_is_forgotten_in_time() -> None:
    async with open_wire(farewell_seconds=0.1) as wire:
        sid = await joined(wire)
        probe = await probing(wire, sid)
        wire.echo.joined[0].drop()
        assert await probe.frames_until_eof() == [(8, b"")]
        assert (await wire.get(sid))[0] == 400


async def test_k33_who_waits_for_room_on_a_websocket_that_closes_hears_that_there_will_be_none() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        websocket = WebSocket(stream, Limits(Options(write_timeout_seconds=5, outbox_hard_bytes=10_000_000)))
        websocket.write(b"x" * 10_000_000)

        async def wait() -> None:
            with pytest.raises(ConnectionClosed):
                await websocket.wait_below(0)

        with trio.fail_after(PATIENCE_SECONDS):
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked(0.01)
                websocket.close()
            # Without the error this would be a loop that never lets anybody else run.
            await wait()
