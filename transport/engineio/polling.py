"""A session by HTTP: what a GET waits for, and what becomes of a POST.

What must not live here: which request belongs to which session, and whether it may come in at all (`endpoint`).
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import trio

from transport.engineio.codec import Frame, encode_payload, iter_payload
from transport.engineio.connection import Connection
from transport.engineio.handshake import UNKNOWN, Refusal
from transport.engineio.options import PACKETS_PER_TURN
from transport.engineio.session import Reason
from transport.errors import ClientFault
from transport.guard import connection_guard

__all__ = ["JSON", "TEXT", "ASGIReceive", "ASGIScope", "ASGISend", "answer", "get", "poll", "refuse"]

ASGIScope = MutableMapping[str, Any]
ASGIReceive = Callable[[], Awaitable[MutableMapping[str, Any]]]
ASGISend = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
TEXT = b"text/plain; charset=UTF-8"


async def poll(connection: Connection, scope: ASGIScope, receive: ASGIReceive, send: ASGISend) -> None:
    """One request of a session that is there."""
    # Without an answer, hypercorn answers 500.
    with connection_guard("poll_crashed", connection.facts):
        if scope["method"] == "GET":
            await get(connection, receive, send)
        elif connection.closed:
            await refuse(send, UNKNOWN)  # it is only there until its last packets are fetched; nothing is taken in
        elif (b"content-type", b"application/octet-stream") in scope["headers"]:
            await _end(connection, send)  # A12
        else:
            await _post(connection, receive, send)


async def _end(connection: Connection, send: ASGISend) -> None:
    connection.close(Reason.TRANSPORT_ERROR)
    await answer(send, 400, b"", TEXT)


async def get(connection: Connection, receive: ASGIReceive, send: ASGISend) -> None:
    """Answer with what there is to fetch, as soon as there is something."""
    if connection.polling:
        await _end(connection, send)  # A8
        return
    connection.polling = True
    try:
        frames = await _wait_frames(connection, receive)
    finally:
        connection.polling = False
    await answer(send, 200, encode_payload(frames) if frames else b"1", TEXT)


async def _wait_frames(connection: Connection, receive: ASGIReceive) -> list[Frame]:
    frames: list[Frame] = []

    async def watch(scope: trio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        connection.close(Reason.TRANSPORT_ERROR)  # A10
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, nursery.cancel_scope)
        frames = await connection.wait_frames()
        nursery.cancel_scope.cancel()
    return frames


async def _post(connection: Connection, receive: ASGIReceive, send: ASGISend) -> None:
    if connection.posting:
        await _end(connection, send)  # A9
        return
    connection.posting = True
    try:
        status = await _take_post(connection, receive)
    finally:
        connection.posting = False
    await answer(send, status, b"ok" if status == 200 else b"", b"text/html" if status == 200 else TEXT)


async def _take_post(connection: Connection, receive: ASGIReceive) -> int:
    """The status to answer with."""
    body = await _body(connection, receive)
    if isinstance(body, int):
        return body
    try:
        for count, packet in enumerate(iter_payload(body), 1):
            connection.perform(connection.session.received(packet, trio.current_time()))
            if count % PACKETS_PER_TURN == 0:
                await trio.lowlevel.checkpoint()
                await connection.wait_released()
    except ClientFault:
        connection.close(Reason.PARSE_ERROR)
        return 400  # A13
    await connection.wait_released()
    return 200


async def _body(connection: Connection, receive: ASGIReceive) -> bytes | int:
    """The whole of it, or the status that says why not."""
    body = bytearray()  # not a list of parts: of a chunked body each may be one byte
    with trio.move_on_after(connection.options.body_timeout_seconds):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                connection.close(Reason.TRANSPORT_ERROR)  # A10
                return 400
            body += message.get("body", b"")
            if len(body) > connection.options.max_payload_bytes:
                connection.limits.payload_bytes.refuse()
                return 413  # A11: the session lives
            if not message.get("more_body", False):
                return bytes(body)
    connection.close(Reason.TRANSPORT_ERROR)
    return 408


async def refuse(send: ASGISend, refusal: Refusal) -> None:
    """Answer a request that is no session's."""
    await answer(send, refusal.status, refusal.body, JSON, refusal.headers)


async def answer(
    send: ASGISend, status: int, body: bytes, content_type: bytes, more: Mapping[str, str] | None = None
) -> None:
    """A whole HTTP answer that nobody may keep."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((name.lower().encode(), value.encode()) for name, value in (more or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
