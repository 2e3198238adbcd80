"""What a proxy does to the wire, over real sockets: it speaks for many on one connection, and says for whom.

With a real nginx and real clients this is in tests/e2e/test_behind_a_proxy.py.
"""

from contextlib import AbstractAsyncContextManager

import orjson
import pytest
from structlog.testing import capture_logs

from tests.transport.wire import Raw, Wire, open_wire, upgrade_request
from transport.admission import Admission
from transport.origins import OriginPolicy
from transport.proxies import TrustedProxies, networks
from transport.ratelimit import RateLimiter

pytestmark = pytest.mark.wallclock

PROXY, STRANGER = "127.0.0.1", "127.0.0.2"
POLLING = "/socket.io/?EIO=4&transport=polling"
NAMED = OriginPolicy(on_loopback=True, permitted_hosts=("green.example",))


def wire(**options: int) -> AbstractAsyncContextManager[Wire]:
    """A server that trusts one of the two, and whatever comes from 10.0.0.0/8."""
    proxies = TrustedProxies(networks(f"{PROXY}, 10.0.0.0/8"))
    return open_wire(NAMED, Admission(None, RateLimiter(0, 1), proxies), **options)


async def begun(raw: Raw, *headers: str) -> int:
    """The status for a session that is asked for on this connection."""
    await raw.send_request("GET", POLLING, b"", *headers)
    status, _ = await raw.answer()
    return status


async def upgraded(raw: Raw, *headers: str) -> int:
    await raw.send(upgrade_request("", *headers))
    status, _ = await raw.head()
    return status


async def test_each_client_behind_one_connection_has_limits_of_its_own() -> None:
    async with wire(connections_per_address=1) as server:
        raw = await server.raw(PROXY)
        assert await begun(raw, "X-Forwarded-For: 9.9.9.1") == 200
        assert await begun(raw, "X-Forwarded-For: 9.9.9.2") == 200
        assert await begun(raw, "X-Forwarded-For: 9.9.9.1") == 429
        # A second proxy may add a line instead of an entry; what the client wrote stands before both.
        assert await begun(raw, "X-Forwarded-For: 6.6.6.6, 9.9.9.2", "X-Forwarded-For: 10.1.1.1") == 429
        assert await begun(raw, "X-Forwarded-For: 9.9.9.3", "X-Forwarded-For: 10.1.1.1") == 200
        # Not believed of anybody, a proxy included: it lets this header pass as the client wrote it.
        assert await begun(raw, "Forwarded: for=8.8.8.8", "X-Forwarded-For: 9.9.9.3") == 429
        # An upgrade may come on a connection that has carried others' requests, for another session than theirs.
        assert await upgraded(raw, "X-Forwarded-For: 9.9.9.4") == 101
        assert (await raw.frame())[1].startswith(b"0{")
        assert await upgraded(await server.raw(PROXY), "X-Forwarded-For: 9.9.9.4") == 429


async def test_what_a_stranger_says_changes_nothing() -> None:
    async with wire(connections_per_address=1) as server:
        raw = await server.raw(STRANGER)
        assert await begun(raw, "X-Forwarded-For: 9.9.9.1") == 200
        assert await begun(raw, "X-Forwarded-For: 9.9.9.2") == 429
        named = "X-Forwarded-Host: green.example", "Origin: https://green.example"
        assert await upgraded(raw, *named) == 403


async def test_a_page_of_the_name_that_the_proxy_was_asked_for_may_talk() -> None:
    async with wire() as server:
        named = "X-Forwarded-Host: green.example", "Origin: https://green.example"
        assert await begun(await server.raw(PROXY), *named) == 200
        assert await upgraded(await server.raw(PROXY), *named) == 101
        foreign = "X-Forwarded-Host: green.example", "Origin: https://evil.example"
        assert await upgraded(await server.raw(PROXY), *foreign) == 403


async def test_the_log_names_the_client_and_the_proxy() -> None:
    with capture_logs() as lines:
        async with wire() as server:
            raw = await server.raw(PROXY)
            assert await upgraded(raw, "X-Forwarded-For: 9.9.9.1") == 101
            assert (await raw.frame())[1].startswith(b"0{")
            await raw.text("40")
            assert (await raw.frame())[1].startswith(b"40{")
            await raw.text('42["crash"]')
            await raw.frames_until_eof()
    [crash] = [line for line in lines if line["log_level"] == "error"]
    assert (crash["remote"], crash["client"]) == (PROXY, "9.9.9.1")


async def test_a_proxy_that_speaks_http_1_0_can_poll_and_cannot_upgrade() -> None:
    async with wire() as server:

        async def ask(method: str, query: str, body: bytes, *headers: str) -> tuple[int, bytes]:
            raw = await server.raw(PROXY)
            lines = [f"{method} {POLLING}{query} HTTP/1.0", "Host: localhost", "Connection: close", *headers]
            await raw.send("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
            answer = await raw.answer()
            assert await raw.until_eof() == b""
            return answer

        status, opened = await ask("GET", "", b"")
        assert (status, opened[:1]) == (200, b"0")
        sid = f"&sid={orjson.loads(opened[1:])['sid']}"
        assert await ask("POST", sid, b"40") == (200, b"ok")
        assert (await ask("GET", sid, b""))[1].startswith(b"40{")
        raw = await server.raw(PROXY)
        await raw.send(upgrade_request(sid).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await raw.answer())[0] == 400
        assert await ask("POST", sid, b'42["still"]') == (200, b"ok")
        assert await ask("GET", sid, b"") == (200, b'42["still"]')
