"""A namespace as most people want it: functions for events by name, and emitting to many.

What lives here: which function an event goes to, that those of one client run one after the other, and that a client
whose functions are behind is not read meanwhile. What must not: the protocol. Whoever needs less than this, or an
order of their own, writes a `transport.socketio.server.Handler` instead.
"""

import inspect
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf
from typing import Any, TypeVar

import attrs
import structlog
import trio

from transport.errors import EventRefused
from transport.socketio import codec
from transport.socketio.connection import Ack, Connection
from transport.socketio.server import Accept, Refuse

__all__ = ["Namespace"]

logger = structlog.get_logger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])

EVENT_CHARGE_BYTES = 512
"""What an event that waits costs beyond its bytes on the wire: the objects that it has become."""


class Namespace:
    """Functions are registered by the decorators below, before the server runs; each may be plain or async, but that
    of `on_disconnected`. What one client sends is handled in order, one event after the other: an event waits until
    the function of the one before has returned. A function that crashes ends its client's connection, no other.
    """

    def __init__(self) -> None:
        self._events: dict[str, _Function] = {}
        self._decide: Callable[..., Any] | None = None
        self._welcome: _Function | None = None
        self._farewell: Callable[[Connection, str], None] | None = None
        self._inboxes: dict[Connection, _Inbox] = {}

    # --- what is registered --------------------------------------------------------------------------------------

    def on(self, name: str) -> Callable[[Function], Function]:
        """The function for events of this name. It is called with the connection and the event's arguments.

        If the client asked for an acknowledgement, what the function returns is it: nothing for None, several values
        for a tuple, otherwise one. `EventRefused` raised in it, or arguments that it does not take, are acknowledged
        with `{"error": true, "message": ...}`. Raises ValueError for a reserved name (E11) or a second function.
        """
        if name in codec.RESERVED_EVENTS or name in self._events:
            raise ValueError(f"no function can be registered for {name!r}")

        def register(function: Function) -> Function:
            self._events[name] = _Function.of(function)
            return function

        return register

    def on_connect(self, function: Function) -> Function:
        """Asked whether a client may join, with the connection and what it sent as `auth` (a mapping, or None): returns
        None or `Accept` to let it in, `Refuse` to turn it away with a message (E9). Nothing can be sent yet."""
        self._decide = function
        return function

    def on_connected(self, function: Function) -> Function:
        """Called with each connection that has joined, before the first of its events."""
        self._welcome = _Function.of(function)
        return function

    def on_disconnected(self, function: Function) -> Function:
        """Called once with each connection that had joined, and the reason (E26). It cannot be async: nobody is left
        to wait for it. Raises TypeError."""
        if inspect.iscoroutinefunction(function):
            raise TypeError("the function for on_disconnected is a plain one")
        self._farewell = function
        return function

    # --- sending -------------------------------------------------------------------------------------------------

    @property
    def connections(self) -> Collection[Connection]:
        """Everybody who is here."""
        return self._inboxes.keys()

    def emit(self, name: str, *args: Any, to: Iterable[Connection] | None = None) -> None:
        """Send an event to all who are here, or to these; it is encoded once. Raises `NotEncodable`.

        A set of connections is what Socket.IO calls a room: keep one, and take out in `on_disconnected` who leaves.
        """
        chosen = tuple(self._inboxes if to is None else to)
        packets = {
            namespace: codec.event(name, *args, namespace=namespace)
            for namespace in {connection.namespace for connection in chosen}
        }
        for connection in chosen:
            connection.send(packets[connection.namespace])

    # --- as the server's handler ---------------------------------------------------------------------------------

    async def connect(self, connection: Connection, auth: Mapping[str, Any] | None) -> Accept | Refuse:
        """See `Handler`."""
        answer = self._decide(connection, auth) if self._decide is not None else None
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is None:
            return Accept()
        if not isinstance(answer, Accept | Refuse):
            raise TypeError(f"on_connect returns None, Accept or Refuse, not {type(answer).__name__}")
        return answer

    def connected(self, connection: Connection) -> None:
        """See `Handler`."""
        inbox = self._inboxes[connection] = _Inbox(connection)
        if self._welcome is not None:
            inbox.take(_Job(self._welcome, [], None, 0))

    def received(self, connection: Connection, name: str, args: list[Any], ack: Ack | None, *, size_bytes: int) -> None:
        """See `Handler`. An event that nobody has a function for is ignored, asked for an answer or not (E12)."""
        function = self._events.get(name)
        if function is None:
            return
        if function.takes(len(args)):
            self._inboxes[connection].take(_Job(function, args, ack, size_bytes + EVENT_CHARGE_BYTES))
        else:
            _refuse(connection, ack, f"{name!r} does not take {len(args)} arguments")

    def disconnected(self, connection: Connection, reason: str) -> None:
        """See `Handler`."""
        known = self._inboxes.pop(connection, None)
        if known is not None and self._farewell is not None:
            self._farewell(connection, reason)

    def __repr__(self) -> str:
        return f"<Namespace {sorted(self._events)} {len(self._inboxes)} connections>"


@attrs.frozen
class _Function:
    """Somebody's function, with what is asked of it for each event found out once."""

    call: Callable[..., Any]
    is_async: bool
    least: int
    most: float

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_Function":
        parameters = list(inspect.signature(function).parameters.values())[1:]  # the first is the connection
        positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        has_rest = any(one.kind is one.VAR_POSITIONAL for one in parameters)
        least = sum(one.default is one.empty for one in positional)
        return cls(function, inspect.iscoroutinefunction(function), least, inf if has_rest else len(positional))

    def takes(self, count: int) -> bool:
        return self.least <= count <= self.most


@attrs.frozen
class _Job:
    function: _Function
    args: list[Any]
    ack: Ack | None
    cost_bytes: int


class _Inbox:
    """What one client has sent and no function has taken yet. Plain functions run at once when nothing is before them;
    for the rest there is one task, made when it is first needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._is_busy = False
        self._come: trio.lowlevel.ParkingLot | None = None

    def take(self, job: _Job) -> None:
        if not (self._jobs or self._is_busy or job.function.is_async):
            self._run(job)
            return
        self._jobs.append(job)
        self._bytes += job.cost_bytes
        if self._bytes > self._connection.options.inbox_high_bytes:
            self._connection.hold()
        self._wake()

    def _wake(self) -> None:
        if self._come is None:
            self._come = trio.lowlevel.ParkingLot()
            self._connection.start_soon(self._work, self._come)
        else:
            self._come.unpark_all()

    async def _work(self, come: trio.lowlevel.ParkingLot) -> None:
        while True:
            while not self._jobs:
                await come.park()
            job = self._jobs.popleft()
            self._is_busy = True
            await self._run_async(job)
            self._is_busy = False
            self._bytes -= job.cost_bytes
            if self._bytes <= self._connection.options.inbox_low_bytes:
                self._connection.release()

    def _run(self, job: _Job) -> None:
        try:
            result = job.function.call(self._connection, *job.args)
        except EventRefused as refused:
            _refuse(self._connection, job.ack, str(refused))
        else:
            _answer(job.ack, result)

    async def _run_async(self, job: _Job) -> None:
        if not job.function.is_async:
            self._run(job)
            # A long row of plain functions must not keep everybody else waiting.
            await trio.lowlevel.checkpoint()
            return
        try:
            result = await job.function.call(self._connection, *job.args)
        except EventRefused as refused:
            _refuse(self._connection, job.ack, str(refused))
        else:
            _answer(job.ack, result)


def _answer(ack: Ack | None, result: Any) -> None:
    if ack is None:
        return
    if result is None:
        ack()
    elif isinstance(result, tuple):
        ack(*result)
    else:
        ack(result)


def _refuse(connection: Connection, ack: Ack | None, message: str) -> None:
    logger.info("event_refused", **connection.facts, reason=message)
    if ack is not None:
        ack({"error": True, "message": message})
