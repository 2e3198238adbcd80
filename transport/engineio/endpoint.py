"""Where Engine.IO sessions begin and are found again: WebSocket upgrades and the ASGI polling app.

What must not live here: legality (`handshake`, `session`), what a GET or a POST of a session does (`polling`),
namespaces. A session by WebSocket lives in the task of its connection; the endpoint owns the tasks of those by polling,
and the writers of who is behind.
"""

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import attrs
import structlog
import trio

from transport.engineio import handshake
from transport.engineio.codec import encode_open
from transport.engineio.connection import Connection, Peer
from transport.engineio.handshake import CLOSING, FORBIDDEN, FULL, TOO_MANY, Refusal
from transport.engineio.limits import Limits
from transport.engineio.options import PACKETS_PER_TURN, Options
from transport.engineio.polling import JSON, ASGIReceive, ASGIScope, ASGISend, answer, get, poll, refuse
from transport.engineio.session import Reason, Transport
from transport.engineio.websocket import WebSocket
from transport.errors import ClientFault, NetworkFault, PacketError
from transport.guard import connection_guard
from transport.heads import asgi_headers, folded

__all__ = ["Endpoint", "Upgrade", "everybody", "refuse_upgrade", "remote"]

logger = structlog.get_logger(__name__)

REFUSAL_SECONDS = 2.0
"""A refusal fits into any send buffer; whoever cannot take it goes without."""


@attrs.frozen
class Upgrade:
    """A WebSocket upgrade request that the HTTP side has parsed; `trailing` are the bytes that came behind it."""

    target: str
    headers: list[tuple[str, str]]
    trailing: bytes
    remote: str
    method: str = "GET"


def everybody(_: Peer) -> bool:
    """Admits whoever asks."""
    return True


def remote(peer: Peer) -> str:
    """The other end of the socket is whom a session counts for."""
    return peer.remote


class Endpoint:
    """`opened` is called with each new connection, before anything is received on it; `admits` with whoever asks for
    one, and who is not admitted is answered 403 (A1, code 4). `whose` tells the address that a session counts for."""

    def __init__(
        self,
        options: Options,
        opened: Callable[[Connection], None],
        admits: Callable[[Peer], bool] = everybody,
        whose: Callable[[Peer], str] = remote,
    ) -> None:
        self._options = options
        self._opened = opened
        self._admits = admits
        self._whose = whose
        self.limits = Limits(options)
        self._connections: dict[str, Connection] = {}
        self._transports: dict[str, Transport] = {}
        self._nursery: trio.Nursery | None = None
        self._closing = False

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the sessions until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def close_all(self, seconds: float) -> None:
        """End every session within so long, without a DISCONNECT, so that clients come back (K35, E35), and let nobody
        begin another.

        One after the other, so that they do not all come back at the same moment.
        """
        self._closing = True
        connections = tuple(self._connections.values())
        for connection in connections:
            connection.close(Reason.SHUTTING_DOWN)
            await trio.sleep(seconds / len(connections))

    def _objection(self, peer: Peer) -> Refusal | None:
        """Why there is no new session for this one; otherwise `_open` it is."""
        if not self._admits(peer):
            return FORBIDDEN
        if self._closing:
            return CLOSING
        if not self.limits.sessions.permits():
            return FULL
        if not self.limits.sessions_per_address.permits(self._whose(peer)):
            return TOO_MANY
        return None

    def _open(self, peer: Peer, transport: Transport) -> Connection:
        address = self._whose(peer)
        self.limits.sessions.take()
        self.limits.sessions_per_address.take(address)
        connection = Connection(secrets.token_urlsafe(15), peer, self.limits, transport)
        if address != peer.remote:
            connection.facts["client"] = address  # the other end of the socket is a proxy's
        self._connections[connection.sid] = connection
        self._transports[connection.sid] = transport
        connection.upgraded = lambda: self._transports.update({connection.sid: Transport.WEBSOCKET})
        self._opened(connection)
        return connection

    def _open_packet(self, connection: Connection, upgrades: list[str]) -> Any:
        options = self._options
        return encode_open(
            {
                "sid": connection.sid,
                "upgrades": upgrades,
                "pingInterval": round(options.ping_interval_seconds * 1000),
                "pingTimeout": round(options.ping_timeout_seconds * 1000),
                "maxPayload": options.max_payload_bytes,
            }
        )

    async def _keep(
        self,
        connection: Connection,
        websocket: WebSocket | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """A session from its opening to where nobody finds it any more; with a WebSocket, its reader keeps the time."""
        with connection_guard("session_crashed", connection.facts):
            async with trio.open_nursery() as connection.nursery:
                task_status.started()
                if websocket is None:
                    await connection.keep_time(trio.sleep_forever)
                else:
                    await self._receive(connection, websocket, keeps_time=True)
                connection.nursery.cancel_scope.cancel()
        connection.close(Reason.FORCED_SERVER_CLOSE)
        with trio.move_on_after(self._options.farewell_seconds):
            await connection.wait_fetched()
        if connection.probe is not None:
            connection.probe.close()
        connection.forget()
        self._connections.pop(connection.sid, None)
        self._transports.pop(connection.sid, None)
        self.limits.sessions.give_back()
        self.limits.sessions_per_address.give_back(self._whose(connection.peer))

    # --- WebSocket -----------------------------------------------------------------------------------------------

    async def websocket(self, stream: trio.SocketStream, upgrade: Upgrade) -> None:
        """Serve one upgrade request to its end; the caller closes the stream."""
        query = handshake.parse_query(upgrade.target.partition("?")[2].encode("latin-1"))
        asked = handshake.check(upgrade.method, query, self._transports, websocket=True)
        if isinstance(asked, handshake.Refusal) or query is None:
            words = asked.words if isinstance(asked, handshake.Refusal) else "Bad request"
            await refuse_upgrade(stream, "400 Bad Request", words)
            return
        peer = Peer(query.last, folded(upgrade.headers), upgrade.remote)
        refusal = self._objection(peer) if asked.sid is None else None
        if refusal is not None:
            status = HTTPStatus(refusal.status)
            await refuse_upgrade(stream, f"{status} {status.phrase}", refusal.words, refusal.headers)
            return
        websocket = WebSocket(stream, self.limits)
        if not websocket.accept(upgrade.target, upgrade.headers, upgrade.trailing):
            return
        assert self._nursery is not None  # noqa: S101 - `run` comes first
        websocket.falls_behind = partial(self._nursery.start_soon, self._write_rest, websocket)
        # What it came with is not needed for as long as it stays.
        del upgrade, query
        try:
            if asked.sid is None:
                await self.serve(websocket, peer)
            else:
                await self._serve_probe(websocket, self._connections[asked.sid])
            await self._say_goodbye(websocket)
        finally:
            websocket.forget()

    async def _write_rest(self, websocket: WebSocket) -> None:
        with connection_guard("writer_crashed", websocket.facts):
            try:
                await websocket.write_rest()
            except NetworkFault as failure:
                self.limits.timeouts["websocket"] += 1
                logger.info("slow_reader_closed", error=str(failure), **websocket.facts)

    async def _say_goodbye(self, websocket: WebSocket) -> None:
        websocket.close()
        if not websocket.broken:
            with trio.move_on_after(self._options.close_timeout_seconds):
                await websocket.wait_flushed()
                await websocket.linger()

    async def serve(self, websocket: WebSocket, peer: Peer) -> None:
        """A new session on a WebSocket whose handshake is done, to its end."""
        connection = self._open(peer, Transport.WEBSOCKET)
        connection.websocket = websocket
        connection.send(self._open_packet(connection, []))
        await self._keep(connection, websocket)

    async def _serve_probe(self, websocket: WebSocket, connection: Connection) -> None:
        if not connection.session.probe_opened(trio.current_time()):
            return
        connection.probe = websocket
        connection.set_alarm()
        await self._receive(connection, websocket, keeps_time=False)

    async def _receive(self, connection: Connection, websocket: WebSocket, *, keeps_time: bool) -> None:
        websocket.facts = connection.facts
        with connection_guard("websocket_crashed", connection.facts):
            reason = Reason.TRANSPORT_ERROR
            try:
                with websocket.reading:
                    if keeps_time:
                        await connection.keep_time(self._read, connection, websocket)
                    else:
                        await self._read(connection, websocket)
            except PacketError:
                reason = Reason.PARSE_ERROR
            except ClientFault:
                reason = Reason.TRANSPORT_ERROR
            except NetworkFault:
                reason = Reason.TRANSPORT_CLOSE
            finally:
                self._has_ended(connection, websocket, reason)

    def _has_ended(self, connection: Connection, websocket: WebSocket, reason: Reason) -> None:
        if connection.websocket is websocket:
            connection.close(reason)
        elif connection.probe is websocket:
            connection.probe = None
            connection.perform(connection.session.probe_closed())

    async def _read(self, connection: Connection, websocket: WebSocket) -> None:
        """It may be cancelled between two batches of messages, and loses none."""
        while not websocket.closing:
            if connection.held and connection.websocket is websocket:
                await connection.wait_released()
            for count, message in enumerate(await websocket.receive(), 1):
                # Asked for each message: a probe becomes the main transport in the middle of a batch.
                if connection.websocket is websocket:
                    connection.received(message)
                else:
                    connection.probe_received(message)
                if count % PACKETS_PER_TURN == 0:
                    await trio.lowlevel.cancel_shielded_checkpoint()

    # --- polling -------------------------------------------------------------------------------------------------

    async def _poll(self, peer: Peer) -> Connection:
        """A new session by polling."""
        connection = self._open(peer, Transport.POLLING)
        connection.send(self._open_packet(connection, ["websocket"]))
        assert self._nursery is not None  # noqa: S101 - `run` comes first
        await self._nursery.start(self._keep, connection)
        return connection

    async def polling(self, scope: ASGIScope, receive: ASGIReceive, send: ASGISend) -> None:
        """The ASGI app below the Socket.IO path."""
        query = handshake.parse_query(scope["query_string"])
        asked = handshake.check(scope["method"], query, self._transports, websocket=False)
        if isinstance(asked, handshake.Refusal) or query is None:
            body = asked.body if isinstance(asked, handshake.Refusal) else b""
            await answer(send, 400, body, JSON)
        elif asked.sid is None:
            peer = Peer(query.last, asgi_headers(scope["headers"]), (scope.get("client") or ("",))[0])
            refusal = self._objection(peer)
            if refusal is None:
                await get(await self._poll(peer), receive, send)
            else:
                await refuse(send, refusal)
        else:
            await poll(self._connections[asked.sid], scope, receive, send)

    def statistics(self) -> dict[str, int]:
        slow_readers = self.limits.timeouts["websocket"] + self.limits.timeouts["poll"]
        return {"sessions": len(self._connections), "slow_readers_closed": slow_readers}

    def __repr__(self) -> str:
        return f"<Endpoint {len(self._connections)} sessions>"


async def refuse_upgrade(
    stream: trio.SocketStream, status: str, words: str = "", headers: Mapping[str, str] | None = None
) -> None:
    """Answer an upgrade request before any 101 (B1); the caller closes the stream."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nConnection: close\r\n"
        f"{more}Content-Length: {len(words)}\r\n\r\n"
    )
    with trio.move_on_after(REFUSAL_SECONDS):
        await stream.send_all((head + words).encode())
