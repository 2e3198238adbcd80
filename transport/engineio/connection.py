"""One Engine.IO session performed: effects of the state machine, an outbox, and whichever transport it has.

What must not live here: which packet is legal (`session`), HTTP (`polling`), namespaces (`transport.socketio`).
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import structlog
import trio

from transport.engineio import session as machine
from transport.engineio.codec import CLOSE, NOOP, Encoded, Frame, Packet, decode_binary, decode_text
from transport.engineio.limits import Limits
from transport.engineio.session import Effects, Reason, Transport
from transport.engineio.websocket import WebSocket
from transport.errors import ConnectionClosed
from transport.guard import connection_guard

__all__ = ["Connection", "Peer"]

logger = structlog.get_logger(__name__)

_FORCED = frozenset({Reason.FORCED_CLOSE, Reason.FORCED_SERVER_CLOSE})


@attrs.frozen
class Peer:
    """Who asked: the query and headers of the first request (E28), and the address it came from."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    remote: str


class Connection:
    """`deliver` gets each message, `ended` the reason, once. Only `wait_…` and `keep_time` are not synchronous."""

    def __init__(self, sid: str, peer: Peer, limits: Limits, transport: Transport) -> None:
        self.sid = sid
        self.peer = peer
        # What every line of the log about it says. Not the sid, which opens doors (A30); handlers add what they know.
        self.facts: dict[str, object] = {"connection": secrets.token_hex(4), "remote": peer.remote}
        self.options = options = limits.options
        self.limits = limits
        self.session = machine.Session(
            options.ping_interval_seconds,
            options.ping_timeout_seconds,
            options.upgrade_timeout_seconds,
            transport,
            trio.current_time(),
        )
        self.deliver: Callable[[str | bytes], None] = lambda _: None
        self.ended: Callable[[Reason], None] = lambda _: None
        self.upgraded: Callable[[], None] = lambda: None
        self.extra_deadline = float("inf")
        self.on_deadline: Callable[[], None] = lambda: None
        self.websocket: WebSocket | None = None
        self.probe: WebSocket | None = None
        self.polling = False
        self.posting = False
        self._release: Encoded | None = None
        self._frames: list[Frame] = []  # nearly always empty, and an empty deque takes 600 bytes
        self._frames_bytes = 0
        self._outbox = limits.share_of_bytes()
        # When a poller must have fetched something of what waits for it (K33): pongs alone may come from a client that
        # never looks. A WebSocket's writer sees to that itself.
        self._fetch_by = float("inf")
        self._owes_close = False
        self._holders: set[object] = set()
        self._changed = trio.lowlevel.ParkingLot()
        self.nursery: trio.Nursery | None = None
        """Of its tasks."""
        self._alarm = trio.CancelScope()

    # --- sending -------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self.session.closed is not None

    @property
    def outbox_bytes(self) -> int:
        return self._frames_bytes if self.websocket is None else self.websocket.buffered_bytes

    @property
    def writable(self) -> bool:
        """Whether a packet would leave at once: the kernel takes more, or a GET waits (E30)."""
        if self.websocket is not None:
            return not (self.closed or self.websocket.buffered_bytes)
        return self.polling and not (self.closed or self._frames)

    def try_send(self, packet: Encoded) -> bool:
        """Take the packet now, or say no and take nothing: the reader is behind (K33)."""
        waiting = self.outbox_bytes
        if self.closed or waiting > self.options.outbox_high_bytes or (waiting and self._is_tight()):
            return False
        self._put(packet)
        return True

    def send(self, packet: Encoded) -> None:
        """Take the packet in any case; beyond the hard limit the reader is slow beyond help and is closed."""
        if self.closed:
            return
        waiting = self.outbox_bytes
        if waiting + packet.size > self.options.outbox_hard_bytes or (waiting and self._is_tight()):
            self.limits.outbox_bytes.refuse()
            self.close(Reason.TRANSPORT_ERROR)
            return
        self._put(packet)

    def _is_tight(self) -> bool:
        """Whether all connections together keep so much that none may have more waiting than a little."""
        return (self._outbox if self.websocket is None else self.websocket.outbox).is_tight()

    def _put(self, packet: Encoded) -> None:
        if self.websocket is not None:
            self.websocket.write(packet.websocket_frame)
            return
        if not self._frames:
            self._expect_fetch()
        self._frames.extend(packet.frames)
        self._frames_bytes += packet.size
        self._outbox.keep(self._frames_bytes)
        self._changed.unpark_all()

    async def wait_writable(self) -> None:
        """Return when the outbox is below its low mark. Raises `ConnectionClosed`."""
        await trio.lowlevel.checkpoint()
        while not self.closed and self.outbox_bytes > self.options.outbox_low_bytes:
            if self.websocket is not None:
                await self.websocket.wait_below(self.options.outbox_low_bytes)
            else:
                await self._changed.park()
        if self.closed:
            raise ConnectionClosed("the connection is over")

    # --- receiving -----------------------------------------------------------------------------------------------

    def received(self, message: str | bytes) -> None:
        """A message of the WebSocket that is this session's transport. Raises `PacketError`."""
        if self.session.delivers:  # as nearly always: the state machine is not asked about each
            if isinstance(message, bytes):
                self.deliver(message)
                return
            if message.startswith("4"):
                self.deliver(message[1:])
                return
        self.perform(self.session.received(_decoded(message), trio.current_time()))

    def probe_received(self, message: str | bytes) -> None:
        """A message of the WebSocket that wants to become the transport. Raises `PacketError`."""
        self.perform(self.session.probe_received(_decoded(message), trio.current_time()))

    @property
    def held(self) -> bool:
        return bool(self._holders)

    def hold(self, holder: object) -> None:
        """Read nothing more until every holder has released: who sends is held back by its own network."""
        self._holders.add(holder)
        self.session.deaf = True

    def release(self, holder: object) -> None:
        """Harmless for whoever holds nothing."""
        self._holders.discard(holder)
        if self.session.deaf and not self._holders:
            self.session.deaf = False
            self._changed.unpark_all()

    async def wait_released(self) -> None:
        """Return when nobody holds this connection, or it is closed."""
        while self._holders and not self.closed:
            await self._changed.park()

    # --- polling -------------------------------------------------------------------------------------------------

    async def wait_frames(self) -> list[Frame]:
        """What a GET is answered with: at least one packet, at most as many as clients take (A17).

        A closed session says so when the last of its packets has been fetched.
        """
        while not self._frames and self._release is None and not self.closed and not self._polls_are_released():
            await self._changed.park()
        if self._frames:
            return self._take_frames()
        release, self._release = self._release, None
        if release is None:
            release = CLOSE if self.closed else NOOP
            self._owes_close = False
            self._changed.unpark_all()
        return list(release.frames)

    def _polls_are_released(self) -> bool:
        return self.session.releases_polls

    async def wait_fetched(self) -> None:
        """Return when a session that this side has closed owes nothing to a GET or an upgrade under way; one that the
        client or the network ended owes nobody anything."""
        while self._owes_close:
            await self._changed.park()

    def _take_frames(self) -> list[Frame]:
        count = self.options.packets_per_poll_max
        taken = self._frames[:count]
        del self._frames[:count]
        self._frames_bytes -= sum(len(frame.data) for frame in taken)
        self._outbox.keep(self._frames_bytes)
        self._expect_fetch()
        self._changed.unpark_all()
        return taken

    def _expect_fetch(self) -> None:
        self._fetch_by = trio.current_time() + self.options.write_timeout_seconds
        self.set_alarm()

    # --- the state machine ---------------------------------------------------------------------------------------

    def perform(self, effects: Effects) -> None:  # noqa: C901 - one flat table
        """Do what the state machine says, in order."""
        for effect in effects:
            match effect:
                case machine.Deliver(data):
                    self.deliver(data)
                case machine.Send(packet):
                    self._put(packet)
                case machine.SendProbe(packet):
                    if self.probe is not None:
                        self.probe.write(packet.websocket_frame)
                case machine.ReleasePoll(packet):
                    self._release = packet if self.polling else None
                    self._changed.unpark_all()
                case machine.Upgraded():
                    self._become_websocket()
                case machine.CloseProbe():
                    if self.probe is not None:
                        self.probe.close()
                        self.probe = None
                case machine.Close(reason):
                    self._end(reason)
        self.set_alarm()

    def set_alarm(self) -> None:
        """Follow the state machine's deadline; a changed one may be earlier than the one slept for."""
        due = self._due
        if due != self._alarm.deadline:
            self._alarm.deadline = due

    @property
    def _due(self) -> float:
        fetch_by = self._fetch_by if self._frames else float("inf")
        return min(self.session.deadline, self.extra_deadline, fetch_by)

    def _fetches_nothing(self) -> None:
        if self.session.upgrading:
            self._expect_fetch()  # who upgrades has paused, and has a time limit of its own (D10)
            return
        self.limits.timeouts["poll"] += 1
        logger.info("slow_reader_closed", error="nothing was fetched", **self.facts)
        self.close(Reason.TRANSPORT_ERROR)

    def _become_websocket(self) -> None:
        self.websocket, self.probe = self.probe, None
        assert self.websocket is not None  # noqa: S101 - only a probe can become it
        waiting, self._frames, self._frames_bytes = self._frames, [], 0
        self._outbox.keep(0)
        for frame in waiting:
            self.websocket.write(frame.websocket)
        self.upgraded()
        if self.closed:
            self.websocket.close()
            self._owes_close = False
        self._changed.unpark_all()

    def close(self, reason: Reason) -> None:
        """End the session; the first reason counts."""
        self.perform(self.session.close(reason))

    def _end(self, reason: Reason) -> None:
        # The last packets go before the close, in an answer of their own: the reference's client takes a DISCONNECT in
        # only after it has seen a close that came with it, and would come back (E25). Whoever is between two GETs when
        # the server stops is told by the next one (E35).
        owes = self.session.upgrading or reason is Reason.SHUTTING_DOWN or (bool(self._frames) and reason in _FORCED)
        self._owes_close = owes and self.websocket is None
        if self.websocket is not None:
            self.websocket.close()
        self._changed.unpark_all()
        self.ended(reason)
        if self.nursery is not None:
            self.nursery.cancel_scope.cancel()

    # --- life ----------------------------------------------------------------------------------------------------

    async def keep_time(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Do `work`, cancelled and begun anew whenever the state machine is due, until it returns or this is closed.

        So a WebSocket's reader needs no second task for its heartbeat.
        """
        while not self.closed:
            with trio.CancelScope(deadline=self._due) as self._alarm:
                await work(*args)
            if not self._alarm.cancelled_caught:
                return
            now = trio.current_time()
            if now >= self.session.deadline:
                self.perform(self.session.tick(now))
            if now >= self.extra_deadline:
                self.on_deadline()
            if self._frames and now >= self._fetch_by:
                self._fetches_nothing()

    def forget(self) -> None:
        """Nothing is kept for it any more."""
        self._outbox.keep(0)

    def start_soon(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """A task that dies with the connection; its crash ends the connection and nothing else."""
        if self.nursery is not None and not self.closed:
            self.nursery.start_soon(self._guarded, work, *args)

    async def _guarded(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        with connection_guard("connection_task_crashed", self.facts) as outcome:
            await work(*args)
        if outcome.crashed:
            self.close(Reason.FORCED_SERVER_CLOSE)

    def __repr__(self) -> str:
        return f"<Connection {self.session.transport.value} {self.session.closed or 'open'} out={self.outbox_bytes}>"


def _decoded(message: str | bytes) -> Packet:
    return decode_text(message) if isinstance(message, str) else decode_binary(message)
