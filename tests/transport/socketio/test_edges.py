"""The edges of both protocols that no other test shows on the wire, through the real listener; the table of all of them
is docs/socketio-conformance.md."""

from typing import Any

import orjson
import pytest
import trio
import trio.testing

from tests.transport.wire import Raw, Wire, masked, open_wire, upgrade_request

pytestmark = pytest.mark.wallclock

TARGET = "/socket.io/?EIO=4&transport=polling"


async def polling(wire: Wire) -> str:
    sid = await wire.polling()
    await wire.post(sid, b"40")
    assert (await wire.get(sid))[1].startswith(b"40{")
    return sid


async def ask(wire: Wire, method: str, target: str, *headers: str) -> tuple[int, dict[str, str], Any]:
    raw = await wire.raw()
    async with raw.stream:
        await raw.send_request(method, target, b"", *headers)
        status, found = await raw.head()
        body = await raw.exactly(int(found["content-length"]))
        return status, found, body


async def closes(raw: Raw) -> tuple[int, bytes]:
    """The last frame."""
    return (await raw.frames_until_eof())[-1]


async def lives(wire: Wire, sid: str) -> None:
    await wire.post(sid, b'42["still"]')
    assert await wire.get(sid) == (200, b'42["still"]')


# --- HTTP and sid ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("GET", "transport=zzz&sid=nobody", 0),
        ("POST", "transport=polling&sid=nobody&EIO=3", 1),
        ("GET", "transport=websocket&sid=nobody&EIO=4", 3),
        ("POST", "transport=polling&EIO=3", 2),
        ("GET", "transport=polling&EIO=3", 5),
    ],
)
async def test_a2_of_several_faults_the_first_in_the_references_order_is_told(
    method: str, query: str, code: int
) -> None:
    async with open_wire() as wire:
        status, _, body = await ask(wire, method, f"/socket.io/?{query}")
        assert (status, orjson.loads(body)["code"]) == (400, code)


async def test_a4_a5_versions_that_are_missing_or_old_are_refused_and_a_session_lives() -> None:
    async with open_wire() as wire:
        sid = await polling(wire)
        for query, code in (("", 3), ("&EIO=3", 3)):
            status, _, body = await ask(wire, "GET", f"/socket.io/?transport=polling&sid={sid}{query}")
            assert (status, orjson.loads(body)["code"]) == (400, code)
        status, _, body = await ask(wire, "GET", "/socket.io/?transport=polling&EIO=3")
        assert (status, orjson.loads(body)["code"]) == (400, 5)
        await lives(wire, sid)


@pytest.mark.parametrize(
    "body",
    [b"", b'42["x"]\x1e', b"\x1e", b"4\xff", b'd=42["x"]', b"bAQID!A=="],
    ids=["A13 empty", "A13 trailing separator", "A13 empty packets", "A20 not UTF-8", "A24 JSONP", "A18 base64"],
)
async def test_a13_a18_a20_a24_a_bad_body_is_answered_400_and_ends_the_session(body: bytes) -> None:
    async with open_wire() as wire:
        sid = await polling(wire)
        assert await wire.post(sid, body) == (400, b"")
        assert wire.echo.reasons == ["parse error"]
        assert (await wire.get(sid))[0] == 400


async def test_a23_a24_a26_answers_are_neither_compressed_nor_jsonp_nor_do_they_set_cookies() -> None:
    async with open_wire() as wire:
        status, headers, body = await ask(wire, "GET", f"{TARGET}&j=0", "Accept-Encoding: gzip, deflate, br")
        assert (status, body[:1]) == (200, b"0")
        assert not headers.keys() & {"content-encoding", "set-cookie"}


# --- WebSocket ---------------------------------------------------------------------------------------------------


async def test_b5_the_first_subprotocol_is_taken() -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send(upgrade_request("", "Sec-WebSocket-Protocol: one, two"))
        status, headers = await raw.head()
        assert (status, headers["sec-websocket-protocol"]) == (101, "one")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("1", "transport close", id="B9 close"),
        pytest.param("2", "transport error", id="B10 ping"),
        pytest.param("2probe", "transport error", id="B10 probe"),
        pytest.param("", "parse error", id="B12 empty"),
        pytest.param("9", "parse error", id="B12 unknown"),
    ],
)
async def test_b9_b10_b12_b14_what_ends_an_open_session_ends_it_without_a_status(text: str, reason: str) -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text(text)
        assert await closes(raw) == (8, b"")
        assert wire.echo.reasons == [reason]


@pytest.mark.parametrize("text", ["3", "0", "5", "6"])
async def test_b11_what_means_nothing_now_is_ignored(text: str) -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text(text)
        await raw.text('42["still"]')
        await raw.says('42["still"]')


async def test_b13_base64_in_a_text_frame_is_binary() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text('451-["x",{"_placeholder":true,"num":0}]')
        await raw.text("bAQID")
        await raw.frame()
        assert await raw.frame() == (2, b"\x01\x02\x03")


async def test_b15_what_waits_for_a_poller_that_stays_away_is_bounded() -> None:
    async with open_wire(outbox_high_bytes=10_000, outbox_hard_bytes=50_000) as wire:
        await polling(wire)
        connection = wire.echo.joined[0]
        sent = 0
        while not connection.closed and sent < 1_000_000:
            connection.emit("x", "x" * 1000)
            sent += 1000
        assert sent <= 51_000
        assert wire.echo.reasons == ["transport error"]


# --- heartbeat and upgrade ---------------------------------------------------------------------------------------


async def test_c4_by_polling_a_ping_waits_for_the_get() -> None:
    async with open_wire(ping_interval_seconds=0.05) as wire:
        sid = await polling(wire)
        await trio.sleep(0.1)
        assert await wire.get(sid) == (200, b"2")
        assert await wire.post(sid, b"3") == (200, b"ok")
        assert await wire.get(sid) == (200, b"2")


async def test_d4_a_word_out_of_order_ends_the_probe_and_polling_goes_on() -> None:
    async with open_wire() as wire:
        sid = await polling(wire)
        probe = await wire.raw()
        await probe.upgrade(f"&sid={sid}")
        for _ in range(2):
            await probe.text("2probe")
            await probe.says("3probe")
        await probe.text('42["too early"]')
        assert await closes(probe) == (8, b"")
        assert wire.echo.heard == []
        await lives(wire, sid)


async def test_d6_d8_polling_works_until_the_upgrade_and_a_get_that_waits_is_answered_with_a_noop() -> None:
    async with open_wire() as wire:
        sid = await polling(wire)
        probe = await wire.raw()
        await probe.upgrade(f"&sid={sid}")
        waiting = await wire.raw()
        await waiting.send_request("GET", f"{TARGET}&sid={sid}")
        await trio.testing.wait_all_tasks_blocked(0.05)
        await probe.text("2probe")
        await probe.says("3probe")
        assert await waiting.answer() == (200, b"6")
        await lives(wire, sid)
        # The client may have asked once more before it paused.
        await probe.text("5")
        assert (await wire.get(sid))[0] == 400
        await probe.text('42["x"]')
        await probe.says('42["x"]')


async def test_d11_d12_the_sid_of_a_websocket_opens_nothing_by_http() -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.upgrade()
        sid = orjson.loads((await raw.frame())[1][1:])["sid"]
        for method in ("GET", "POST"):
            status, _, body = await ask(wire, method, f"{TARGET}&sid={sid}")
            assert (status, orjson.loads(body)["code"]) == (400, 3)
        await raw.text("40")
        assert (await raw.frame())[1].startswith(b"40{")


# --- Socket.IO ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ['42["x"]', "41", "430[]", '44"x"', b"stray"])
async def test_e1_whatever_comes_before_a_connect_ends_the_connection(first: str | bytes) -> None:
    async with open_wire() as wire:
        raw = await wire.websocket()
        await (raw.text(first) if isinstance(first, str) else raw.binary(first))
        assert await closes(raw) == (8, b"")


@pytest.mark.parametrize("payload", ["[]", '"x"', "null", "{", "1"])
async def test_e3_auth_that_is_no_object_ends_the_connection(payload: str) -> None:
    async with open_wire() as wire:
        raw = await wire.websocket()
        await raw.text("40" + payload)
        if payload == "1":  # as in the reference: a packet id, and no payload
            assert (await raw.frame())[1].startswith(b"40{")
        else:
            assert await closes(raw) == (8, b"")


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param(["40"], id="E4 joined already"),
        pytest.param(['44"x"'], id="E4 CONNECT_ERROR"),
        pytest.param(['42/custom,["x"]'], id="E5 not joined"),
        pytest.param(["42"], id="E10 nothing"),
        pytest.param(['42{"a":1}'], id="E10 object"),
        pytest.param(['42["connect"]'], id="E11 reserved"),
        pytest.param(["431{}"], id="E13 no array"),
        pytest.param(["41{}"], id="E16 payload"),
        pytest.param(["47"], id="E16 type"),
        pytest.param(['4511-["x"]'], id="E17 eleven"),
        pytest.param(['450-["x"]'], id="E17 none"),
        pytest.param(['451-["x"]', '42["x"]'], id="E18 text for an attachment"),
        pytest.param(['451-["x",{"_placeholder":true,"num":-1}]', b"x"], id="E19 negative"),
        pytest.param([b"\x83\xa4type\x02"], id="E34 msgpack"),
    ],
)
async def test_e4_e5_e10_e11_e13_e16_e17_e18_e19_e34_what_no_client_may_send_is_a_parse_error(
    packets: list[str | bytes],
) -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        for packet in packets:
            await (raw.text(packet) if isinstance(packet, str) else raw.binary(packet))
        assert await closes(raw) == (8, b"")
        assert wire.echo.reasons == ["parse error"]
        assert wire.echo.heard == []


async def test_e7_an_event_before_the_answer_to_connect_ends_the_connection() -> None:
    async with open_wire() as wire:
        raw = await wire.websocket()
        await raw.send(masked(0x81, b"40") + masked(0x81, b'42["hasty"]'))
        assert await closes(raw) == (8, b"")
        assert wire.echo.heard == []


async def test_e18_pings_and_pongs_between_attachments_are_fine() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text('451-["x",{"_placeholder":true,"num":0}]')
        await raw.text("3")
        await raw.binary(b"x")
        assert (await raw.frame())[1].startswith(b"451-")


async def test_e20_a_placeholder_in_a_plain_event_is_data() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.text('42["x",{"_placeholder":true,"num":0}]')
        await raw.says('42["x",{"_placeholder":true,"num":0}]')


async def test_e21_nothing_comes_between_a_header_and_its_attachments() -> None:
    async with open_wire(ping_interval_seconds=0.2) as wire:
        raw = await wire.joined()
        connection = wire.echo.joined[0]

        async def chatter(number: int) -> None:
            for _ in range(50):
                connection.emit("e", number, bytes([number]), bytes([number]) * 2000)
                await trio.sleep(0.01)

        for number in range(4):
            wire.nursery.start_soon(chatter, number)
        seen = 0
        while seen < 200:
            opcode, head = await raw.frame()
            if head == b"2":
                await raw.text("3")
                continue
            assert (opcode, head[:3]) == (1, b"452")
            number = orjson.loads(head[head.index(b"[") :])[1]
            assert await raw.frame() == (2, bytes([number]))
            assert await raw.frame() == (2, bytes([number]) * 2000)
            seen += 1


async def test_e22_after_the_last_namespace_the_connection_stays() -> None:
    async with open_wire(ping_interval_seconds=0.4) as wire:
        raw = await wire.joined()
        await raw.text("41")
        await raw.says("2")
        await raw.text("3")
        await raw.text("40")
        while (answer := (await raw.frame())[1]) == b"2":
            await raw.text("3")
        assert answer.startswith(b"40{")


async def test_e27_what_comes_after_the_servers_disconnect_is_dropped() -> None:
    async with open_wire() as wire:
        raw = await wire.joined()
        await raw.send(masked(0x81, b'42["leave",false]') + masked(0x81, b'420["late"]') + masked(0x81, b"430[]"))
        await raw.says("41")
        await raw.text("40")
        assert (await raw.frame())[1].startswith(b"40{")
        assert [name for name, _ in wire.echo.heard] == ["leave"]


async def test_e28_handlers_see_the_query_of_the_first_request_and_auth_unchanged() -> None:
    async with open_wire() as wire:
        sid = await wire.polling()
        await wire.post(sid, '40{"token":"é","n":[1,{"a":null}]}'.encode())
        await wire.get(sid)
        raw = await wire.websocket("&who=me&who=you&empty=")
        await raw.text("40")
        await raw.frame()
        poller, other = wire.echo.joined
        assert dict(poller.query) == {"EIO": "4", "transport": "polling"}
        assert poller.auth == {"token": "é", "n": [1, {"a": None}]}
        assert dict(other.query) == {"EIO": "4", "transport": "websocket", "who": "you", "empty": ""}
        assert other.auth == {}
        assert other.remote == "127.0.0.1"


async def test_e29_recovery_is_off_and_who_asks_for_it_gets_a_plain_new_session() -> None:
    async with open_wire() as wire:
        raw = await wire.websocket()
        await raw.text('40{"pid":"p","offset":"o"}')
        answer = orjson.loads((await raw.frame())[1][2:])
        assert "pid" not in answer
        await raw.text('42["x",1]')
        await raw.says('42["x",1]')  # and no offset at its end
