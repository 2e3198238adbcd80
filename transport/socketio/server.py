"""A Socket.IO server: namespaces to handlers, one `Connection` for each client in a namespace.

What must not live here: legality (`session`), bytes (`codec`), sockets (`transport.engineio`), and what becomes of an
event (`namespace` for handlers by name, or a `Handler` of one's own).
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Protocol

import attrs
import trio

from transport.engineio.connection import Connection as EngineConnection
from transport.engineio.connection import Peer
from transport.engineio.endpoint import Endpoint, everybody, remote
from transport.engineio.options import Options
from transport.engineio.session import Reason
from transport.errors import ClientFault
from transport.guard import connection_guard
from transport.socketio import codec, session
from transport.socketio.codec import Encoded
from transport.socketio.connection import Ack, Connection

__all__ = ["Accept", "Ack", "Connection", "Encoded", "Handler", "Refuse", "Server"]

CROWDED_BODY = {"message": "Too many namespaces"}


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

    async def connect(self, connection: Connection, auth: Mapping[str, Any] | None) -> Accept | Refuse:
        """Decide about a client; a crash here refuses it."""

    def connected(self, connection: Connection) -> None:
        """The `40` has been sent: what is sent now comes after it (K32)."""

    def received(self, connection: Connection, name: str, args: list[Any], ack: Ack | None, *, size_bytes: int) -> None:
        """An EVENT, in order; `size_bytes` as it came over the wire, attachments included. Must not block."""

    def disconnected(self, connection: Connection, reason: str) -> None:
        """Once for each accepted connection (E26)."""


class _Client:
    """The namespaces of one Engine.IO connection."""

    def __init__(self, engine: EngineConnection, handlers: Mapping[str, Handler], options: Options) -> None:
        self._engine = engine
        self._handlers = handlers
        self._options = options
        self._decoder = codec.Decoder(options.attachments_max, options.max_payload_bytes)
        connect_by = trio.current_time() + options.connect_timeout_seconds
        self._session = session.Session(frozenset(handlers), connect_by, options.namespaces_max)
        self._connections: dict[str, Connection] = {}
        self._packet_bytes = 0
        # Of an event whose attachments are still to come.
        self._unfinished = engine.limits.share_of_bytes()
        self._whole_by = inf
        engine.deliver, engine.ended, engine.on_deadline = self._deliver, self._ended, self._out_of_time
        engine.extra_deadline = self._session.deadline

    def _out_of_time(self) -> None:
        if trio.current_time() < self._session.deadline:
            self._engine.limits.timeouts["message"] += 1
        self._engine.close(Reason.FORCED_CLOSE)  # E2

    def _deliver(self, message: str | bytes) -> None:
        self._packet_bytes += _bytes_of(message)
        try:
            packet = self._decoder.feed(message)
            fact = self._session.received(packet) if packet is not None else None
        except ClientFault:
            self._engine.close(Reason.PARSE_ERROR)
            return
        if packet is None:
            self._await_attachments()
            return
        if self._unfinished.kept:
            self._whole_by = inf
            self._unfinished.keep(0)
            self._set_deadline()
        if fact is not None:
            self._act(fact)
        self._packet_bytes = 0

    def _await_attachments(self) -> None:
        if self._whole_by == inf:
            self._whole_by = trio.current_time() + self._options.body_timeout_seconds
            self._set_deadline()
        if not self._unfinished.keep(self._packet_bytes):
            self._engine.close(Reason.FORCED_CLOSE)

    def _set_deadline(self) -> None:
        self._engine.extra_deadline = min(self._session.deadline, self._whole_by)
        self._engine.set_alarm()

    def _act(self, fact: session.Fact) -> None:
        match fact:
            case session.Event(namespace, name, args, packet_id):  # first, being nearly all
                self._event(self._connections[namespace], name, args, packet_id)
            case session.Join(namespace, auth):
                connection = Connection(self._engine, namespace, auth, self)
                self._connections[namespace] = connection
                connection.start_soon(self._join, connection, auth)
            case session.Stranger(namespace):
                self._engine.send(codec.connect_error(self._options.unknown_namespace_body, namespace=namespace))
            case session.Crowded(namespace):
                self._engine.limits.namespaces.refuse()
                self._engine.send(codec.connect_error(CROWDED_BODY, namespace=namespace))
            case session.Leave(namespace):
                self.leave(self._connections[namespace], Reason.CLIENT_DISCONNECT, told=True)
            case session.Acked(namespace, packet_id, args):
                self._acked(self._connections[namespace], packet_id, args)

    def _event(self, connection: Connection, name: str, args: list[Any], packet_id: int | None) -> None:
        ack = Ack(connection, packet_id) if packet_id is not None else None
        with connection_guard("handler_crashed", connection.facts) as outcome:
            self._handlers[connection.namespace].received(connection, name, args, ack, size_bytes=self._packet_bytes)
        if outcome.crashed:
            self._engine.close(Reason.FORCED_SERVER_CLOSE)

    def _acked(self, connection: Connection, packet_id: int | None, args: list[Any]) -> None:
        with connection_guard("ack_callback_crashed", connection.facts) as outcome:
            connection.acknowledged(packet_id, args)
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
        self._set_deadline()
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
        was_joined = connection.joined
        self._connections.pop(connection.namespace, None)
        connection.left(reason)
        if was_joined:
            # Its crash must not keep the other namespaces from hearing of the end.
            with connection_guard("disconnect_handler_crashed", connection.facts):
                self._handlers[connection.namespace].disconnected(connection, reason.value)

    def leave_all(self, reason: Reason) -> None:
        """Every connection of this client leaves, and the client is told of each (E25)."""
        for connection in tuple(self._connections.values()):
            self.leave(connection, reason, told=not connection.joined)

    def _ended(self, reason: Reason) -> None:
        self._unfinished.keep(0)
        for connection in tuple(self._connections.values()):
            self.leave(connection, reason, told=True)


class Server:
    """Takes whatever speaks Socket.IO to its namespaces. `endpoint` takes upgrades and polling requests; its `run` must
    be alive, which `transport.socketio.serve` sees to."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        options: Options | None = None,
        admits: Callable[[Peer], bool] = everybody,
        whose: Callable[[Peer], str] = remote,
    ) -> None:
        """`handlers` by the namespace's name. `admits` is asked once a connection, before anything else is done for
        it; whom it does not admit is answered 403. `whose` tells the address that a connection counts for. Raises
        ValueError for a name that no client could ask for."""
        wrong = [name for name in handlers if not name.startswith("/") or "," in name]
        if wrong:
            raise ValueError(f"no name of a namespace: {wrong[0]!r}")
        self._handlers = handlers
        self._options = options or Options()
        self.endpoint = Endpoint(self._options, self._opened, admits, whose)

    def _opened(self, engine: EngineConnection) -> None:
        _Client(engine, self._handlers, self._options)

    def __repr__(self) -> str:
        return f"<Server {sorted(self._handlers)} {self.endpoint!r}>"


def _bytes_of(message: str | bytes) -> int:
    """As it came over the wire; nearly every text is ASCII, whose length is at hand."""
    return len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())
