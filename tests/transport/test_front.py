"""The way in, over real sockets: which request goes where, and what is asked of it before."""

import orjson
import pytest

from tests.transport.wire import Raw, open_wire, upgrade_request
from transport.admission import Admission
from transport.auth import SessionKey
from transport.origins import OriginPolicy
from transport.ratelimit import RateLimiter

PERMITTED = "http://ui.example"
POLICY = OriginPolicy(on_loopback=True, permitted_origins=(PERMITTED,))
POLLING = "/socket.io/?EIO=4&transport=polling"
KEY = "X-Session-API-Key: right"


def _locked() -> Admission:
    return Admission(SessionKey(b"right"), RateLimiter(0, 1))


def _exhausted() -> Admission:
    """Of which nobody but holders of a cookie gets anything any more."""
    admission = _locked()
    for number in range(20):
        admission.handshake({"x-session-api-key": f"wrong{number}"}, {}, "127.0.0.1")
    return admission


def _below(prefix: str) -> Admission:
    return Admission(None, RateLimiter(0, 1), path_prefix=prefix)


async def _upgrade(raw: Raw, query: str, *headers: str) -> tuple[int, dict[str, str]]:
    await raw.send(upgrade_request(query, *headers))
    return await raw.head()


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/elsewhere", 200, b"GET /elsewhere"),
        ("GET", "/socket.iox/", 200, b"GET /socket.iox/"),
        ("OPTIONS", POLLING, 200, b"OPTIONS /socket.io/"),  # preflights are REST's
        ("GET", "/socket.io/?EIO=4&transport=carrier-pigeon", 400, b'{"code":0,"message":"Transport unknown"}'),
    ],
)
async def test_what_goes_where(method: str, path: str, status: int, body: bytes) -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send_request(method, path)
        assert await raw.answer() == (status, body)


async def test_a_foreign_page_polls_nothing_and_upgrades_nothing() -> None:
    async with open_wire(POLICY) as wire:
        raw = await wire.raw()
        await raw.send_request("GET", POLLING, b"", "Origin: http://evil.example")
        assert await raw.answer() == (200, b"GET /socket.io/")  # REST's to refuse
        status, _ = await _upgrade(await wire.raw(), "", "Origin: http://evil.example")
        assert (status, wire.endpoint.statistics()["sessions"]) == (403, 0)


async def test_an_upgrade_elsewhere_is_not_found() -> None:
    async with open_wire() as wire:
        raw = await wire.raw()
        await raw.send(upgrade_request().replace(b"/socket.io/", b"/sockets/x/"))
        assert (await raw.head())[0] == 404


async def test_a_session_that_may_not_begin_is_told_when_to_come_back() -> None:
    async with open_wire(POLICY, _exhausted()) as wire:
        raw = await wire.raw()
        await raw.send_request("GET", POLLING, b"", KEY, f"Origin: {PERMITTED}")
        status, headers = await raw.head()
        assert status == 429
        assert 1 <= int(headers["retry-after"]) <= 6
        assert (headers["access-control-allow-origin"], headers["cache-control"]) == (PERMITTED, "no-store")
        assert orjson.loads(await raw.exactly(int(headers["content-length"]))) == {"message": "Too many requests"}
        status, headers = await _upgrade(await wire.raw(), "", KEY)
        assert status == 429
        assert 1 <= int(headers["retry-after"]) <= 6
        assert wire.endpoint.statistics()["sessions"] == 0


async def test_only_the_first_request_of_a_session_is_asked() -> None:
    admission = _locked()
    async with open_wire(admission=admission) as wire:
        raw = await wire.raw()
        await raw.send_request("GET", POLLING, b"", KEY)
        _, body = await raw.answer()
        sid = str(orjson.loads(body[1:])["sid"])
        for number in range(20):
            admission.handshake({"x-session-api-key": f"wrong{number}"}, {}, "127.0.0.1")
        assert await wire.post(sid, b"40") == (200, b"ok")
        assert (await wire.get(sid))[1].startswith(b"40")
        status, _ = await _upgrade(await wire.raw(), f"&sid={sid}")
        assert status == 101


async def test_a_query_that_is_none_is_left_to_the_endpoint_to_refuse() -> None:
    async with open_wire(admission=_locked()) as wire:
        raw = await wire.raw()
        await raw.send_request("GET", POLLING + "&a=b" * 100)
        assert (await raw.answer())[0] == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/green/elsewhere", b"GET /green/elsewhere"),
        ("/elsewhere", b"GET /green/elsewhere"),  # a proxy has taken it away; REST has it as its root
        ("/green", b"GET /green/"),
        ("/greenhouse/socket.io/", b"GET /green/greenhouse/socket.io/"),
    ],
)
async def test_below_a_path_rest_is_with_it_and_without(path: str, body: bytes) -> None:
    async with open_wire(admission=_below("/green")) as wire:
        raw = await wire.raw()
        await raw.send_request("GET", path)
        assert await raw.answer() == (200, body)


@pytest.mark.parametrize("prefix", ["/green", ""])
async def test_below_a_path_sessions_begin_with_it_and_without(prefix: str) -> None:
    async with open_wire(admission=_below("/green")) as wire:
        raw = await wire.raw()
        await raw.send_request("GET", prefix + POLLING)
        assert (await raw.answer())[0] == 200
        await raw.send(upgrade_request().replace(b"/socket.io/", f"{prefix}/socket.io/".encode()))
        assert (await raw.head())[0] == 101
        other = await wire.raw()
        await other.send(upgrade_request().replace(b"/socket.io/", f"{prefix}/x/socket.io/".encode()))
        assert (await other.head())[0] == 404
