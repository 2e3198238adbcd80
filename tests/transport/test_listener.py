"""Answers that come before their request is whole: the client gets them, and its connection ends soon."""

import pytest
import trio

from tests.transport.wire import PATIENCE_SECONDS, Raw, open_wire
from transport import stream

pytestmark = pytest.mark.wallclock

ANSWER = (200, b"POST /x")  # of an application that reads no body
BODY_BYTES = 20_000_000
"""More than the kernel keeps on both sides together."""


async def _send_for_ever(raw: Raw) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            await raw.send(b"x" * 65_536)


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_who_sends_all_of_a_body_before_reading_still_gets_the_answer(*, chunked: bool) -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        body, header = b"x" * BODY_BYTES, f"Content-Length: {BODY_BYTES}"
        if chunked:
            body, header = b"%x\r\n" % BODY_BYTES + body + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked"
        with trio.fail_after(PATIENCE_SECONDS):
            await raw.send(f"POST /x HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode() + body)
        assert await raw.answer() == ANSWER
        assert await raw.until_eof() == b""


async def test_who_goes_on_sending_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LINGER_SECONDS", 0.3)
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n")
        assert await raw.answer() == ANSWER
        with pytest.raises(trio.BrokenResourceError):
            await _send_for_ever(raw)


async def test_who_stops_in_the_middle_of_a_body_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LINGER_SECONDS", 0.3)
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
        assert await raw.answer() == ANSWER
        assert await raw.until_eof() == b""
        await trio.sleep(0.5)
        with pytest.raises(trio.BrokenResourceError):
            await _send_for_ever(raw)


async def test_a_connection_whose_request_was_whole_goes_on() -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        for _ in range(3):
            await raw.send_request("POST", "/x", b"12345")
            assert await raw.answer() == ANSWER
