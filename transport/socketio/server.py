"""A Socket.IO server: namespaces to handlers, one `Connection` for each client in a namespace.

What must not live here: legality (`session`), bytes (`codec`), sockets (`transport.engineio`).
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import attrs
import trio

from transport.engineio.connection import Connection as EngineConnection
from transport.engineio.endpoint import Endpoint
from transport.engineio.options import Options
from transport.engineio.session import Reason
from transport.errors import ClientFault
from transport.guard import connection_guard
from transport.socketio import codec, session
from transport.socketio.codec import Encoded

__all__ = ["Accept", "Ack", "Connection", "Encoded", "Handler", "Refuse", "Server"]


@attrs.frozen
class Accept:
    """The client may join; `payload` goes beside its `sid` into the answer."""

    payload: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Refuse:
    """The client may not join (E9)."""

    message: str
    data: Any = None


class Handler(Protocol):
    """One a namespace."""

    async def connect(self, connection: "Connection", auth: Mapping[str, Any] | None) -> Accept | Refuse:
        """Decide about a client; a crash here refuses it."""

    def connected(self, connection: "Connection") -> None:
        """The `40` has been sent: what is sent now comes after it (K32)."""

    def received(
        self, connection: "Connection", name: str, args: list[Any], ack: "Ack | None", *, size_bytes: int
    ) -> None:
        """An EVENT, in order; `size_bytes` as it came over the wire, attachments included. Must not block."""

    def disconnected(self, connection: "Connection", reason: str) -> None:
        """Once for each accepted connection (E26)."""


class Connection:
    """One client in one namespace."""

    def __init__(self, engine: EngineConnection, namespace: str) -> None:
        # Not the Engine.IO sid, which opens doors (A30).
        self.sid = secrets.token_urlsafe(15)
        self.namespace = namespace
        self.joined = False
        self._engine = engine
        self._client: _Client | None = None
        # Its tasks live while it is in its namespace, which may be shorter than the Engine.IO connection.
        self._scopes: set[trio.CancelScope] = set()
        self._left = False
        self.facts["connection"] = self.sid

    @property
    def facts(self) -> dict[str, object]:
        """What lines of the log about it say; a handler adds what it knows. All namespaces of a client share them."""
        return self._engine.facts

    @property
    def query(self) -> Mapping[str, str]:
        return self._engine.peer.query

    @property
    def headers(self) -> Mapping[str, str]:
        return self._engine.peer.headers

    @property
    def remote(self) -> str:
        return self._engine.peer.remote

    @property
    def closed(self) -> bool:
        return not self.joined or self._engine.closed

    def try_send(self, packet: Encoded) -> bool:
        """See `transport.engineio.connection.Connection.try_send`."""
        return self.joined and self._engine.try_send(packet)

    def send(self, packet: Encoded) -> None:
        """Queue the packet in any case, up to the hard limit."""
        if self.joined:
            self._engine.send(packet)

    async def wait_writable(self) -> None:
        """Raises `ConnectionClosed`."""
        await self._engine.wait_writable()

    def disconnect(self, *, close_transport: bool) -> None:
        """Send DISCONNECT: the client will not come back by itself (E25)."""
        if self._client is not None and self.joined:
            self._client.leave(self, Reason.SERVER_DISCONNECT, told=False)
        if close_transport:
            self._engine.close(Reason.FORCED_SERVER_CLOSE)

    def start_soon(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """A task that ends when the client leaves the namespace, however it leaves."""
        self._engine.start_soon(self._scoped, work, *args)

    async def _scoped(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        with trio.CancelScope() as scope:
            if self._left:
                return
            self._scopes.add(scope)
            try:
                await work(*args)
            finally:
                self._scopes.discard(scope)

    def end_tasks(self) -> None:
        """Nobody is here any more for whom they could do anything."""
        self._left = True
        for scope in self._scopes:
            scope.cancel()

    def belong(self, client: "_Client") -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<Connection {self.sid} in {self.namespace} {'joined' if self.joined else 'out'} on {self._engine!r}>"


@attrs.define
class Ack:
    """Answers one event, once; after a disconnect it says nothing (E15)."""

    connection: Connection
    packet_id: int
    _used: bool = False

    def __call__(self, *args: Any) -> None:
        if not self._used:
            self._used = True
            self.connection.send(codec.ack(self.packet_id, *args, namespace=self.connection.namespace))


class _Client:
    """The namespaces of one Engine.IO connection."""

    def __init__(self, engine: EngineConnection, handlers: Mapping[str, Handler], options: Options) -> None:
        self._engine = engine
        self._handlers = handlers
        self._options = options
        self._decoder = codec.Decoder(options.attachments_max, options.max_payload_bytes)
        self._session = session.Session(frozenset(handlers), trio.current_time() + options.connect_timeout_seconds)
        self._connections: dict[str, Connection] = {}
        self._packet_bytes = 0
        engine.deliver, engine.ended, engine.on_deadline = self._deliver, self._ended, self._connect_timeout
        engine.extra_deadline = self._session.deadline

    def _connect_timeout(self) -> None:
        self._engine.close(Reason.FORCED_CLOSE)  # E2

    def _deliver(self, message: str | bytes) -> None:
        self._packet_bytes += _bytes_of(message)
        try:
            packet = self._decoder.feed(message)
            fact = self._session.received(packet) if packet is not None else None
        except ClientFault:
            self._engine.close(Reason.PARSE_ERROR)
            return
        if fact is not None:
            self._act(fact)
        if packet is not None:
            self._packet_bytes = 0

    def _act(self, fact: session.Fact) -> None:
        match fact:
            case session.Join(namespace, auth):
                connection = Connection(self._engine, namespace)
                connection.belong(self)
                self._connections[namespace] = connection
                connection.start_soon(self._join, connection, auth)
            case session.Stranger(namespace):
                self._engine.send(codec.connect_error(self._options.unknown_namespace_body, namespace=namespace))
            case session.Leave(namespace):
                self.leave(self._connections[namespace], Reason.CLIENT_DISCONNECT, told=True)
            case session.Event(namespace, name, args, packet_id):
                self._event(self._connections[namespace], name, args, packet_id)
            case session.Acked():
                return  # this server asks for no acknowledgements yet

    def _event(self, connection: Connection, name: str, args: list[Any], packet_id: int | None) -> None:
        ack = Ack(connection, packet_id) if packet_id is not None else None
        with connection_guard("handler_crashed", connection.facts) as outcome:
            self._handlers[connection.namespace].received(connection, name, args, ack, size_bytes=self._packet_bytes)
        if outcome.crashed:
            self._engine.close(Reason.FORCED_SERVER_CLOSE)

    async def _join(self, connection: Connection, auth: Mapping[str, Any] | None) -> None:
        handler, namespace = self._handlers[connection.namespace], connection.namespace
        answer: Accept | Refuse = Refuse("Internal error")
        with connection_guard("connect_handler_crashed", connection.facts) as outcome:
            answer = await handler.connect(connection, auth)
        if self._connections.get(namespace) is not connection:
            handler.disconnected(connection, Reason.CLIENT_DISCONNECT.value)  # it has left meanwhile
            return
        if isinstance(answer, Refuse):
            self._refuse(connection, answer, outcome.error_id)
            return
        self._session.accepted(namespace)
        self._engine.extra_deadline = self._session.deadline
        connection.joined = True
        connection.send(codec.connect({"sid": connection.sid, **answer.payload}, namespace=namespace))
        handler.connected(connection)

    def _refuse(self, connection: Connection, answer: Refuse, error_id: str | None) -> None:
        body: dict[str, Any] = {"message": answer.message}
        data = {"error_id": error_id} if error_id is not None else answer.data
        if data is not None:
            body["data"] = data
        self._session.refused(connection.namespace)
        del self._connections[connection.namespace]
        self._engine.send(codec.connect_error(body, namespace=connection.namespace))

    def leave(self, connection: Connection, reason: Reason, *, told: bool) -> None:
        """The connection leaves its namespace; `told` says that the client knows."""
        if not told:
            connection.send(codec.disconnect(namespace=connection.namespace))
            self._session.left(connection.namespace)
        was_joined, connection.joined = connection.joined, False
        self._connections.pop(connection.namespace, None)
        connection.end_tasks()
        if was_joined:
            self._handlers[connection.namespace].disconnected(connection, reason.value)

    def _ended(self, reason: Reason) -> None:
        for connection in tuple(self._connections.values()):
            self.leave(connection, reason, told=True)


class Server:
    """`endpoint` takes upgrades and polling requests; its `run` must be alive."""

    def __init__(self, handlers: Mapping[str, Handler], options: Options | None = None) -> None:
        self._handlers = handlers
        self._options = options or Options()
        self.endpoint = Endpoint(self._options, self._opened)

    def _opened(self, engine: EngineConnection) -> None:
        _Client(engine, self._handlers, self._options)

    def __repr__(self) -> str:
        return f"<Server {sorted(self._handlers)} {self.endpoint!r}>"


def _bytes_of(message: str | bytes) -> int:
    """As it came over the wire; nearly every text is ASCII, whose length is at hand."""
    return len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())
