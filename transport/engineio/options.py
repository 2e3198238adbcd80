"""The named limits of the wire, each with its reason. Data only; whoever needs a limit takes the whole object."""

import attrs

__all__ = ["PACKETS_PER_TURN", "Options"]

PACKETS_PER_TURN = 64
"""Of one client, before others have their turn: a million packets fit into one polling body."""


@attrs.frozen(kw_only=True)
class Options:
    """Limits and intervals of one Socket.IO server. Seconds and bytes, as the names say."""

    # The protocol's own defaults; a client closes by itself when no ping came for interval + timeout (C1).
    ping_interval_seconds: float = 25.0
    ping_timeout_seconds: float = 20.0
    # One message, one polling body, and all attachments of one event together (A11, B7, E17).
    max_payload_bytes: int = 1_000_000
    # How long a client may stay without having joined any namespace (E2).
    connect_timeout_seconds: float = 45.0
    # From the opening of the second transport to its `5` (D10).
    upgrade_timeout_seconds: float = 10.0
    # Above the high mark a live event is refused and the reader falls back to its cursor (K33); below the low mark
    # it may go on. 256 KiB is several hundred events, and small beside what 10,000 connections may cost together.
    outbox_high_bytes: int = 256 * 1024
    outbox_low_bytes: int = 64 * 1024
    # What must not be dropped (acks, status) is queued up to here; then the reader is slow beyond help.
    outbox_hard_bytes: int = 8 * 1024 * 1024
    # No byte taken for this long ends the connection (K33).
    write_timeout_seconds: float = 20.0
    # How long a close may take: flushing, the close frame, and the peer's own.
    close_timeout_seconds: float = 2.0
    # How long a polling session that we closed waits for the GET that fetches its last packets.
    farewell_seconds: float = 10.0
    # python-socketio's clients drop the connection at more packets in one answer (A17).
    packets_per_poll_max: int = 16
    # E17: the reference's limit since parser 4.2.5.
    attachments_max: int = 10
    # Namespaces of one client at a time: each is a handler's state and perhaps a task.
    namespaces_max: int = 64
    # Acknowledgements that one client may owe in one namespace. Each is a waiter in memory, and a client that answers
    # never must not gather them (E15); more in flight than this is no conversation but a queue.
    acks_max: int = 1_000
    # How long an acknowledgement is waited for when nothing else was said.
    ack_timeout_seconds: float = 30.0
    # Events that wait for handlers which take their time: above the high mark the client is not read, so that its own
    # network holds it back; below the low mark it is read again. Each counts its bytes on the wire and a charge.
    inbox_high_bytes: int = 256 * 1024
    inbox_low_bytes: int = 64 * 1024
    # One process, one descriptor a session; beyond this a handshake is answered 503. A session by polling has no
    # connection of its own, so sessions and TCP connections are counted apart.
    sessions_max: int = 20_000
    connections_max: int = 20_000
    # Of one address: twenty strangers at least must come together to keep everybody else out. A whole office behind
    # one address stays far below. Holds for TCP connections and, apart from them, for sessions; beyond it 429.
    connections_per_address: int = 1_000
    # Connections that have not yet sent a whole request head. Honest ones have within a round trip, so that this many
    # are many thousands a second; beyond it the oldest makes room, since it is the least likely to be honest.
    handshakes_max: int = 1_000
    # From the beginning of a connection, or of a later request, to the last byte of the request's head.
    head_timeout_seconds: float = 10.0
    # For a request body, a fragmented message, or an event's attachments to become whole. 4 MiB at 1 Mbit/s take 34 s.
    body_timeout_seconds: float = 60.0
    # What all connections together have sent us in part, or have not yet taken from us. Beyond it nobody may keep more
    # than `outbox_low_bytes`: a quarter of a small machine, and thirty of the worst clients at once.
    buffered_bytes_max: int = 256 * 1024 * 1024
    # Body of a `44` for a namespace without a handler (E8); V0 answers a bare string instead.
    unknown_namespace_body: object = attrs.field(factory=lambda: {"message": "Invalid namespace"})
