"""One client in one namespace, as handlers hold it: what may be asked of it, and the tasks that live as long as it.

What must not live here: which packet is legal (`session`), bytes (`codec`), who handles what (`server`, `namespace`).
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import attrs
import trio

from transport.engineio.connection import Connection as EngineConnection
from transport.engineio.options import Options
from transport.engineio.session import Reason
from transport.errors import AckTimeout, ConnectionClosed, TooManyAcks
from transport.socketio import codec
from transport.socketio.acks import Acks
from transport.socketio.codec import Encoded

__all__ = ["Ack", "Connection", "Home"]


class Home(Protocol):
    """What a connection needs of whoever keeps all namespaces of its client."""

    def leave(self, connection: "Connection", reason: Reason, *, told: bool) -> None:
        """The connection leaves its namespace; `told` says that the client knows."""

    def leave_all(self, reason: Reason) -> None:
        """Every connection of this client leaves, and the client is told of each."""


class _Waiter(Protocol):
    def answered(self, args: list[Any]) -> None: ...

    def lost(self) -> None: ...


class Connection:
    """One client in one namespace. All methods but `call` and `wait_writable` are synchronous and never block."""

    def __init__(self, engine: EngineConnection, namespace: str, auth: Mapping[str, Any] | None, home: Home) -> None:
        # Not the Engine.IO sid, which opens doors (A30).
        self.sid = secrets.token_urlsafe(15)
        self.namespace = namespace
        self.auth: Mapping[str, Any] = auth or {}
        """What the client sent with its CONNECT, as it came (E28)."""
        self.joined = False
        self._engine = engine
        self._home = home
        self._acks: Acks[_Waiter] = Acks(self.options.acks_max)
        # Its tasks live while it is in its namespace, which may be shorter than the Engine.IO connection.
        self._scopes: set[trio.CancelScope] = set()
        self._left: Reason | None = None
        self.facts["connection"] = self.sid

    # --- who it is -----------------------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, object]:
        """What lines of the log about it say; a handler adds what it knows. All namespaces of a client share them."""
        return self._engine.facts

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the first request, of repeated keys the last value (E28)."""
        return self._engine.peer.query

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the first request, by their lower-case names."""
        return self._engine.peer.headers

    @property
    def remote(self) -> str:
        """The address of the other end of the socket: behind a proxy, the proxy's."""
        return self._engine.peer.remote

    @property
    def options(self) -> Options:
        return self._engine.options

    @property
    def closed(self) -> bool:
        return not self.joined or self._engine.closed

    @property
    def acks_outstanding(self) -> int:
        return len(self._acks)

    # --- sending -------------------------------------------------------------------------------------------------

    def emit(self, name: str, *args: Any, ack: Callable[..., None] | None = None) -> None:
        """Send an event, `bytes` among its arguments as attachments; nothing happens when the client has left.

        `ack` is called with the arguments of the client's acknowledgement, once, and never when it does not come:
        whoever has to know that uses `call`. Raises `NotEncodable` and `TooManyAcks`.
        """
        if not self.joined:
            return
        if ack is None:
            self.send(codec.event(name, *args, namespace=self.namespace))
        else:
            self._ask(_Callback(ack), name, args)

    def emit_volatile(self, name: str, *args: Any) -> bool:
        """Send an event that is worth nothing later: dropped unless it can leave now (E30). Raises `NotEncodable`."""
        return self._is_writable and self.send_volatile(codec.event(name, *args, namespace=self.namespace))

    async def call(self, name: str, *args: Any, timeout_seconds: float | None = None) -> list[Any]:
        """Send an event and return the arguments of the client's acknowledgement.

        Without `timeout_seconds`, `Options.ack_timeout_seconds` holds. Raises `AckTimeout`; `ConnectionClosed` when
        the client leaves first or has left; `TooManyAcks` and `NotEncodable`, both before anything is sent.
        """
        await trio.lowlevel.checkpoint()
        if not self.joined:
            raise ConnectionClosed(self._farewell())
        answer = _Answer()
        asked_id = self._ask(answer, name, args)
        seconds = self.options.ack_timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            with trio.move_on_after(seconds):
                await answer.come.wait()
        finally:
            self._acks.take(asked_id)
        if answer.is_lost:
            raise ConnectionClosed(self._farewell())
        if answer.args is None:
            raise AckTimeout(f"no acknowledgement of {name!r} within {seconds:g} s")
        return answer.args

    def _ask(self, waiter: _Waiter, name: str, args: tuple[Any, ...]) -> int:
        try:
            asked_id = self._acks.ask(waiter)
        except TooManyAcks:
            self._engine.limits.acks.refuse()
            raise
        try:
            packet = codec.event(name, *args, namespace=self.namespace, ack_id=asked_id)
        except BaseException:
            self._acks.take(asked_id)
            raise
        self.send(packet)
        return asked_id

    def _farewell(self) -> str:
        return f"the client has left: {self._left.value}" if self._left is not None else "the client has not joined"

    def acknowledged(self, packet_id: int | None, args: list[Any]) -> None:
        """The client answers; whoever does not wait for it does not hear of it (E13)."""
        waiter = self._acks.take(packet_id)
        if waiter is not None:
            waiter.answered(args)

    def try_send(self, packet: Encoded) -> bool:
        """See `transport.engineio.connection.Connection.try_send`."""
        return self.joined and self._engine.try_send(packet)

    @property
    def _is_writable(self) -> bool:
        return self.joined and self._engine.writable

    def send_volatile(self, packet: Encoded) -> bool:
        """Send the packet if it can leave now, and say whether it did (E30)."""
        if not self._is_writable:
            return False
        self._engine.send(packet)
        return True

    def send(self, packet: Encoded) -> None:
        """Queue the packet in any case, up to the hard limit."""
        if self.joined:
            self._engine.send(packet)

    async def wait_writable(self) -> None:
        """Return when what waits for this client is little again. Raises `ConnectionClosed`."""
        await self._engine.wait_writable()

    # --- receiving -----------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Read nothing more from this client, in any namespace, until `release`: its handlers are behind."""
        self._engine.hold(self)

    def release(self) -> None:
        self._engine.release(self)

    # --- the end -------------------------------------------------------------------------------------------------

    def disconnect(self, *, close_transport: bool = False) -> None:
        """Send DISCONNECT: the client will not come back by itself (E25). With `close_transport` it leaves every
        namespace so, and the transport is closed."""
        if not close_transport:
            if self.joined:
                self._home.leave(self, Reason.SERVER_DISCONNECT, told=False)
            return
        self._home.leave_all(Reason.SERVER_DISCONNECT)
        self._engine.close(Reason.FORCED_SERVER_CLOSE)

    def drop(self) -> None:
        """Close the transport without a word: the client comes back by itself."""
        self._engine.close(Reason.FORCED_CLOSE)

    def start_soon(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """A task that ends when the client leaves the namespace, however it leaves; its crash ends the connection."""
        self._engine.start_soon(self._scoped, work, *args)

    async def _scoped(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        with trio.CancelScope() as scope:
            if self._left is not None:
                return
            self._scopes.add(scope)
            try:
                await work(*args)
            finally:
                self._scopes.discard(scope)

    def left(self, reason: Reason) -> None:
        """Nobody is here any more for whom tasks could do anything, or who would acknowledge (E15)."""
        self.joined, self._left = False, reason
        self.release()
        for waiter in self._acks.take_all():
            waiter.lost()
        for scope in self._scopes:
            scope.cancel()

    def __repr__(self) -> str:
        return f"<Connection {self.sid} in {self.namespace} {'joined' if self.joined else 'out'} on {self._engine!r}>"


@attrs.define
class _Answer:
    """Waited for by `call`."""

    come: trio.Event = attrs.field(factory=trio.Event)
    args: list[Any] | None = None
    is_lost: bool = False

    def answered(self, args: list[Any]) -> None:
        self.args = args
        self.come.set()

    def lost(self) -> None:
        self.is_lost = True
        self.come.set()


@attrs.frozen
class _Callback:
    call: Callable[..., None]

    def answered(self, args: list[Any]) -> None:
        self.call(*args)

    def lost(self) -> None:
        """Nobody waits."""


@attrs.define
class Ack:
    """Answers one event, once; after a disconnect it says nothing (E15)."""

    connection: Connection
    packet_id: int
    _used: bool = False

    def __call__(self, *args: Any) -> None:
        """Raises `NotEncodable`, and then may be called again."""
        if not self._used:
            self.connection.send(codec.ack(self.packet_id, *args, namespace=self.connection.namespace))
            self._used = True
