"""Engine.IO by HTTP, by the codes of the edges, through the real listener."""

import pytest
import trio

from tests.transport.wire import PATIENCE_SECONDS, Raw, Wire, open_wire

pytestmark = pytest.mark.wallclock

TARGET = "/socket.io/?EIO=4&transport=polling"


async def pending_get(wire: Wire, sid: str) -> Raw:
    raw = await wire.raw()
    await raw.send_request("GET", f"{TARGET}&sid={sid}")
    await trio.testing.wait_all_tasks_blocked(0.05)
    return raw


async def joined(wire: Wire) -> str:
    sid = await wire.polling()
    assert await wire.post(sid, b"40") == (200, b"ok")
    assert (await wire.get(sid))[1].startswith(b"40{")
    return sid


async def until_gone(wire: Wire, sid: str) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while (await wire.post(sid, b"6"))[0] != 400:
            await trio.sleep(0.01)


async def test_a_round_trip_by_polling() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        assert await wire.post(sid, '42["message","é",1]\x1e422["ask",2]'.encode()) == (200, b"ok")
        assert await wire.get(sid) == (200, '42["message","é",1]\x1e432[2]'.encode())


async def test_a1_a3_a6_errors_are_the_references() -> None:
    async with open_wire() as wire:
        assert await wire.get("nobody") == (400, b'{"code":1,"message":"Session ID unknown"}')
        assert await wire.post("nobody", b"6") == (400, b'{"code":1,"message":"Session ID unknown"}')
        raw = await wire.raw()
        await raw.send_request("GET", "/socket.io/?EIO=4&transport=websocket")
        assert await raw.answer() == (400, b'{"code":3,"message":"Bad request"}')


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a7_other_methods_leave_the_session_alone(method: str) -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        assert (await wire.request(method, sid))[0] == 400
        assert (await wire.post(sid, b"6"))[0] == 200


async def test_a8_two_pollers_end_the_session() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        first = await pending_get(wire, sid)
        assert await wire.get(sid) == (400, b"")
        assert await first.answer() == (200, b"1")
        assert (await wire.get(sid))[0] == 400
        assert wire.echo.reasons == ["transport error"]


async def test_a9_two_posters_end_the_session() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        first = await wire.raw()
        await first.send(f"POST {TARGET}&sid={sid} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n4".encode())
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await wire.post(sid, b"6"))[0] == 400
        assert wire.echo.reasons == ["transport error"]


@pytest.mark.parametrize("request_kind", ["GET", "POST"])
async def test_a10_a_client_gone_in_the_middle_ends_the_session(request_kind: str) -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        raw = await wire.raw()
        length = "Content-Length: 10\r\n" if request_kind == "POST" else ""
        await raw.send(f"{request_kind} {TARGET}&sid={sid} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode())
        await trio.testing.wait_all_tasks_blocked(0.05)
        await raw.stream.aclose()
        with trio.fail_after(PATIENCE_SECONDS):
            while not wire.echo.reasons:
                await trio.sleep(0.01)
        assert wire.echo.reasons == ["transport error"]


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_a11_a_body_too_large_is_413_and_the_session_lives(chunked: bool) -> None:  # noqa: FBT001 - a case
    async with open_wire(max_payload_bytes=1000) as wire:
        sid = await joined(wire)
        body, headers = b"4" * 1001, "Host: localhost\r\nContent-Length: 1001\r\n\r\n"
        if chunked:
            body, headers = b"3e9\r\n" + body + b"\r\n", "Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw = await wire.raw()
        await raw.send(f"POST {TARGET}&sid={sid} HTTP/1.1\r\n{headers}".encode() + body)
        assert (await raw.answer())[0] == 413
        exact = b'42["message","' + b"x" * (1000 - 16) + b'"]'
        assert await wire.post(sid, exact) == (200, b"ok")
        assert await wire.get(sid) == (200, exact)


async def test_a12_a_binary_body_is_refused_and_ends_the_session() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        assert (await wire.post(sid, b"6", "Content-Type: application/octet-stream"))[0] == 400
        await until_gone(wire, sid)


async def test_a14_good_packets_count_and_the_bad_one_ends_the_session() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        await wire.post(sid, b'42["one"]\x1e9\x1e42["lost"]')
        assert [name for name, _ in wire.echo.heard] == ["one"]
        assert wire.echo.reasons == ["parse error"]
        await until_gone(wire, sid)


async def test_a15_packets_after_a_close_are_not_delivered() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        await wire.post(sid, b'42["one"]\x1e1\x1e42["lost"]')
        assert [name for name, _ in wire.echo.heard] == ["one"]
        assert wire.echo.reasons == ["transport close"]


async def test_a15_a_get_that_waits_while_the_client_closes_is_answered_with_a_noop() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        waiting = await pending_get(wire, sid)
        assert await wire.post(sid, b"1") == (200, b"ok")
        assert await waiting.answer() == (200, b"6")
        assert (await wire.get(sid))[0] == 400


async def test_a16_a17_many_packets_come_in_and_sixteen_at_a_time_go_out() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        packets = [b'42["n",%d]' % number for number in range(40)]
        assert await wire.post(sid, b"\x1e".join(packets)) == (200, b"ok")
        answers = [(await wire.get(sid))[1].split(b"\x1e") for _ in range(3)]
        assert [len(answer) for answer in answers] == [16, 16, 8]
        assert [packet for answer in answers for packet in answer] == packets


async def test_a16_a_body_of_very_many_packets_delays_nobody_else() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        done = trio.Event()

        async def flood() -> None:
            assert await wire.post(sid, b"\x1e".join([b'42["n"]'] * 50_000)) == (200, b"ok")
            done.set()

        wire.nursery.start_soon(flood)
        seen = set()
        with trio.fail_after(PATIENCE_SECONDS):
            while not done.is_set():
                seen.add(len(wire.echo.heard))
                await trio.lowlevel.checkpoint()  # as often as anybody may
        # Where a body is dealt with in one go, others see none of it or all.
        assert len(seen) > 100


async def test_a21_a22_headers_of_answers() -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send_request("GET", TARGET)
        status, headers = await raw.head()
        assert status == 200
        assert headers["content-type"] == "text/plain; charset=UTF-8"
        assert headers["cache-control"] == "no-store"
        assert "transfer-encoding" not in headers


async def test_a29_one_connection_serves_many_polls() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        raw = await wire.raw()
        for number in range(50):
            body = b'42["n",%d]' % number
            await raw.send_request("POST", f"{TARGET}&sid={sid}", body)
            assert await raw.answer() == (200, b"ok")
            await raw.send_request("GET", f"{TARGET}&sid={sid}")
            assert await raw.answer() == (200, body)


async def test_binary_by_polling() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        body = b'451-["message",{"_placeholder":true,"num":0}]\x1ebAQIDBA=='
        await wire.post(sid, body)
        assert (await wire.get(sid))[1] == body


async def test_e24_a_protocol_error_ends_the_session() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        waiting = await pending_get(wire, sid)
        await wire.post(sid, b'42/nowhere,["x"]')
        assert await waiting.answer() == (200, b"1")
        await until_gone(wire, sid)


async def test_e25_the_last_packets_wait_for_the_get_that_fetches_them() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        await wire.post(sid, b'42["leave",true]')
        assert await wire.get(sid) == (200, b"41")
        assert await wire.get(sid) == (200, b"1")
        await until_gone(wire, sid)


async def test_e25_last_packets_that_nobody_fetches_are_forgotten_in_time() -> None:
    async with open_wire(farewell_seconds=0.1) as wire:
        sid = await joined(wire)
        await wire.post(sid, b'42["leave",true]')
        await trio.sleep(0.3)
        assert (await wire.get(sid))[0] == 400


async def test_e25_who_is_only_there_for_its_last_packets_takes_nothing_in() -> None:
    async with open_wire() as wire:
        sid = await joined(wire)
        await wire.post(sid, b'42["leave",true]')
        assert await wire.post(sid, b'42["n"]') == (400, b'{"code":1,"message":"Session ID unknown"}')
        assert await wire.get(sid) == (200, b"41")


async def test_c4_c6_a_poller_that_stays_away_is_forgotten() -> None:
    async with open_wire(ping_interval_seconds=0.5, ping_timeout_seconds=0.1) as wire:
        sid = await joined(wire)
        with trio.fail_after(PATIENCE_SECONDS):
            while not wire.echo.reasons:
                await trio.sleep(0.02)
        assert wire.echo.reasons == ["ping timeout"]
        assert await wire.get(sid) == (400, b'{"code":1,"message":"Session ID unknown"}')


async def test_sessions_are_bounded() -> None:
    async with open_wire(sessions_max=1) as wire:
        await joined(wire)
        assert (await wire.request("GET", ""))[0] == 503
        raw = await wire.raw()
        await raw.send_request(
            "GET", "/socket.io/?EIO=4&transport=websocket", b"", "Upgrade: websocket", "Connection: Upgrade"
        )
        assert (await raw.head())[0] == 503


async def test_k33_a_poller_that_fetches_nothing_is_ended_though_it_says_that_it_lives() -> None:
    async with open_wire(ping_interval_seconds=0.1, write_timeout_seconds=0.4) as wire:
        sid = await joined(wire)
        with trio.fail_after(PATIENCE_SECONDS):
            while (await wire.post(sid, b"3"))[0] == 200:
                await trio.sleep(0.05)
        assert wire.echo.reasons == ["transport error"]
        assert wire.endpoint.limits.timeouts["poll"] == 1


async def test_k33_a_poller_that_fetches_slowly_but_fetches_lives_on() -> None:
    async with open_wire(write_timeout_seconds=0.4) as wire:
        sid = await joined(wire)
        for _ in range(50):
            assert await wire.post(sid, b'42["message","x"]') == (200, b"ok")
        for _ in range(3):  # sixteen packets each, with a pause that is below the timeout, and all of them above it
            assert (await wire.get(sid))[1].count(b"message") == 16
            await trio.sleep(0.25)
        assert (await wire.get(sid))[1].count(b"message") == 2
