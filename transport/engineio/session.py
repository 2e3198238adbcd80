"""One Engine.IO session as a state machine: heartbeat, upgrade and close, decided and never performed.

What lives here: which packet is legal where and when, the next deadline, and what should happen, returned as
effects. What must not: sockets, queues, tasks or a clock; `now` is an argument in seconds. Three small enums and
two tables hold everything: the phase of the heartbeat, the phase of an upgrade, and what each packet type means on
the main transport and on a probing WebSocket.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from math import inf

import attrs

from transport.engineio.codec import NOOP, PING, PONG_PROBE, Encoded, Packet, PacketType

__all__ = [
    "Close",
    "CloseProbe",
    "Deliver",
    "Effect",
    "Reason",
    "ReleasePoll",
    "Send",
    "SendProbe",
    "Session",
    "Transport",
    "Upgraded",
]


class Transport(Enum):
    POLLING = "polling"
    WEBSOCKET = "websocket"


class Reason(Enum):
    """Why a session or a namespace ended, in the reference's words (E26)."""

    CLIENT_DISCONNECT = "client namespace disconnect"
    SERVER_DISCONNECT = "server namespace disconnect"
    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"
    PING_TIMEOUT = "ping timeout"
    PARSE_ERROR = "parse error"
    FORCED_CLOSE = "forced close"
    FORCED_SERVER_CLOSE = "forced server close"
    SHUTTING_DOWN = "server shutting down"


_BY_US = frozenset({Reason.FORCED_CLOSE, Reason.FORCED_SERVER_CLOSE, Reason.SHUTTING_DOWN})


class _Heartbeat(Enum):
    RESTING = auto()  # until the next ping is due
    AWAITING_PONG = auto()
    EXTENDED = auto()  # awaiting, and already extended once by other traffic (C3)


class _Upgrade(Enum):
    NONE = auto()
    OPENED = auto()  # a second WebSocket is there and has said nothing
    PROBED = auto()  # it said `2probe`


@attrs.frozen(slots=True)
class Deliver:
    data: str | bytes


@attrs.frozen(slots=True)
class Send:
    packet: Encoded


@attrs.frozen(slots=True)
class SendProbe:
    packet: Encoded


@attrs.frozen(slots=True)
class ReleasePoll:
    """Answer a waiting GET with this packet, so that the client can leave polling (D1, D8)."""

    packet: Encoded


@attrs.frozen(slots=True)
class Upgraded:
    """The probing WebSocket is the transport from now on; of a session that has ended, for what is left to be said."""


@attrs.frozen(slots=True)
class CloseProbe:
    """The probing WebSocket ends; the session lives."""


@attrs.frozen(slots=True)
class Close:
    reason: Reason


Effect = Deliver | Send | SendProbe | ReleasePoll | Upgraded | CloseProbe | Close
Effects = tuple[Effect, ...]


@attrs.define(slots=True)
class Session:
    """The state of one session. All methods return effects in the order in which they should happen."""

    ping_interval_seconds: float
    ping_timeout_seconds: float
    upgrade_timeout_seconds: float
    transport: Transport
    opened_at: float
    closed: Reason | None = None
    # This side reads nothing at present, so a pong may be there and nobody has seen it.
    deaf: bool = False
    _heartbeat: _Heartbeat = _Heartbeat.RESTING
    _upgrade: _Upgrade = _Upgrade.NONE
    _heartbeat_due: float = inf
    _upgrade_due: float = inf

    def __attrs_post_init__(self) -> None:
        self._heartbeat_due = self.opened_at + self.ping_interval_seconds

    @property
    def deadline(self) -> float:
        """When `tick` wants to be called next; infinity once closed."""
        return min(self._heartbeat_due, self._upgrade_due)

    @property
    def upgrading(self) -> bool:
        return self._upgrade is not _Upgrade.NONE

    @property
    def releases_polls(self) -> bool:
        """Whether a GET that finds nothing to fetch is answered at once, between `2probe` and `5` (D1)."""
        return self._upgrade is _Upgrade.PROBED

    # -- the main transport

    @property
    def delivers(self) -> bool:
        """Whether a message that comes now by the session's transport means nothing but its delivery."""
        return self.closed is None and self._heartbeat is not _Heartbeat.AWAITING_PONG

    def received(self, packet: Packet, now: float) -> Effects:
        """A packet came by the session's transport (by POST while it is polling)."""
        if self.closed is not None:
            return ()
        if self._heartbeat is _Heartbeat.AWAITING_PONG:
            self._extend(now)
        if packet.type is PacketType.MESSAGE:
            return (Deliver(packet.data),)
        return _ON_MAIN[packet.type](self, now)

    def _extend(self, now: float) -> None:
        # A large upload delays the pong behind it, so traffic counts as life, but once per ping only (C3).
        self._heartbeat = _Heartbeat.EXTENDED
        self._heartbeat_due = now + self.ping_timeout_seconds

    def _pong(self, now: float) -> Effects:
        if self._heartbeat is not _Heartbeat.RESTING:  # an unsolicited one is ignored (B11)
            self._rest(now)
        return ()

    def _rest(self, now: float) -> None:
        self._heartbeat = _Heartbeat.RESTING
        self._heartbeat_due = now + self.ping_interval_seconds

    def _client_close(self, _now: float) -> Effects:
        # B9, A15. A GET that waits is not told `1`: the client knows.
        return ReleasePoll(NOOP), *self.close(Reason.TRANSPORT_CLOSE)

    def _wrong_way(self, _now: float) -> Effects:
        return self.close(Reason.TRANSPORT_ERROR)  # a ping has the wrong direction (B10)

    def _ignore(self, _now: float) -> Effects:
        return ()  # B11

    # -- time

    def tick(self, now: float) -> Effects:
        """Time has passed; call it at or after `deadline`."""
        if self.closed is not None:
            return ()
        effects: Effects = ()
        if now >= self._upgrade_due:
            effects = self.probe_closed()
            effects = (*effects, CloseProbe())  # D10
        if now >= self._heartbeat_due:
            effects = (*effects, *self._beat(now))
        return effects

    def _beat(self, now: float) -> Effects:
        if self.deaf and self._heartbeat is not _Heartbeat.RESTING:
            self._heartbeat_due = now + self.ping_timeout_seconds
            return ()
        if self._heartbeat is not _Heartbeat.RESTING:
            return self.close(Reason.PING_TIMEOUT)  # C2
        self._heartbeat = _Heartbeat.AWAITING_PONG
        # From when the ping was due, so that a busy server does not come later and later; but where it is very late,
        # the client gets half of its time at least.
        self._heartbeat_due = max(self._heartbeat_due, now - self.ping_timeout_seconds / 2) + self.ping_timeout_seconds
        return (Send(PING),)

    # -- the upgrade

    def probe_opened(self, now: float) -> bool:
        """A second WebSocket arrived with this session's sid. False means: accept and close it (D9, D12)."""
        if self.closed is not None or self.transport is not Transport.POLLING or self.upgrading:
            return False
        self._upgrade = _Upgrade.OPENED
        self._upgrade_due = now + self.upgrade_timeout_seconds
        return True

    def probe_received(self, packet: Packet, now: float) -> Effects:
        """A packet came by the probing WebSocket. Anything out of order ends the probe alone (D3, D4)."""
        if packet.type is PacketType.UPGRADE and self._upgrade is _Upgrade.PROBED:
            return self._upgraded(now)
        if packet.type is PacketType.PING and packet.data == "probe" and self.closed is None:
            self._upgrade = _Upgrade.PROBED
            return SendProbe(PONG_PROBE), ReleasePoll(NOOP)
        self.probe_closed()
        return (CloseProbe(),)

    def _upgraded(self, now: float) -> Effects:
        self.transport = Transport.WEBSOCKET
        self.probe_closed()
        if self.closed is None and self._heartbeat is not _Heartbeat.RESTING:
            # The pong of a ping sent by polling may be lost in the change (C5).
            self._rest(now)
        return ReleasePoll(NOOP), Upgraded()

    def probe_closed(self) -> Effects:
        """The probing WebSocket is gone; polling goes on as if nothing had been (D5)."""
        self._upgrade = _Upgrade.NONE
        self._upgrade_due = inf
        return ()

    # -- the end

    def close(self, reason: Reason) -> Effects:
        """End the session; only the first reason counts."""
        if self.closed is not None:
            return ()
        self.closed = reason
        self._heartbeat_due = inf
        if self._upgrade is _Upgrade.PROBED and reason in _BY_US:
            # A client that has paused its polling hears nothing but the answer to its `5`; were the probe closed now,
            # the reference's client would wait in silence until its heartbeat ends.
            return (Close(reason),)
        was_upgrading = self.upgrading
        self.probe_closed()
        return (CloseProbe(), Close(reason)) if was_upgrading else (Close(reason),)  # D13


_ON_MAIN: Mapping[PacketType, Callable[[Session, float], Effects]] = {
    PacketType.PONG: Session._pong,  # noqa: SLF001 - the table belongs to the class above
    PacketType.CLOSE: Session._client_close,  # noqa: SLF001
    PacketType.PING: Session._wrong_way,  # noqa: SLF001
    PacketType.OPEN: Session._ignore,  # noqa: SLF001
    PacketType.UPGRADE: Session._ignore,  # noqa: SLF001
    PacketType.NOOP: Session._ignore,  # noqa: SLF001
}
