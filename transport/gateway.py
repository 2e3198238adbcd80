"""Between Socket.IO and conversations: a socket event becomes a command, a cursor becomes `oh_event`s.

Nothing here waits for an actor on a connection's reading path: commands are queued at once or refused, and answers
come back through the reply that travels with them (K5, K8).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import structlog

from actors.conversation.cursor import Cursor
from actors.conversation.keys import Receipt
from actors.conversation.published import Published
from actors.conversation.service import Conversations
from actors.domain.codec import DecodeError, decode_client_action
from actors.domain.terms import decode_terms
from actors.runtime import ActorError
from storage.errors import StorageError
from transport.admission import Admission
from transport.errors import TransportError
from transport.guard import log_failure
from transport.refusals import INTERNAL_ERROR, Refusals
from transport.socketio.codec import Encoded, event, events_from_json
from transport.socketio.server import Accept, Ack, Connection, Refuse

__all__ = ["Gateway"]

logger = structlog.get_logger(__name__)

EVENT = "oh_event"
DRAFT = "greenroom_draft"
USER_ACTIONS = frozenset({"oh_user_action", "oh_action"})


def _encode(payloads: Sequence[bytes]) -> Encoded:
    return events_from_json(EVENT, payloads)


def _encode_draft(payloads: Sequence[bytes]) -> Encoded:
    return events_from_json(DRAFT, payloads)


@attrs.frozen
class _ConnectionSink:
    """A connection as a cursor sees it (see `actors.conversation.cursor.Sink`)."""

    connection: Connection
    shows_drafts: bool

    def try_send(self, published: Published[Any]) -> bool:
        return self.connection.try_send(published.encoded(_encode))

    def try_show(self, part: Published[Any]) -> bool:
        return self.connection.send_volatile(part.encoded(_encode_draft))

    async def wait_writable(self) -> None:
        await self.connection.wait_writable()

    def close(self) -> None:
        self.connection.disconnect(close_transport=False)


@attrs.frozen
class _AckReply:
    """Answers an action: `[]` when it is durable, with its event under a key, and says why when it is not (semantics,
    seams)."""

    connection: Connection
    ack: Ack | None
    refusals: Refusals
    has_key: bool = False

    def succeed(self, receipt: Receipt | None) -> None:
        if self.ack is None:
            return
        if self.has_key and receipt is not None:
            self.ack({"event_id": receipt.event_id, "replayed": receipt.replayed})
        else:
            self.ack()

    def fail(self, error: Exception) -> None:
        told = self.refusals.tell(error)
        if told is None:
            error_id = log_failure("action_failed", error, **self.connection.facts)
            told = attrs.evolve(INTERNAL_ERROR, message=f"Internal error {error_id}")
        if self.ack is not None:
            self.ack({"error": True, "code": told.code, "message": told.message, **told.facts})
        self.connection.send(event(EVENT, {"error": True, "message": told.message}))


class Gateway:
    """The handler of namespace `/`."""

    def __init__(self, conversations: Conversations, admission: Admission, refusals: Refusals | None = None) -> None:
        self._refusals = refusals or Refusals()
        self._conversations = conversations
        self._admission = admission
        self._cursors: dict[str, tuple[str, Cursor]] = {}

    async def connect(self, connection: Connection, auth: Mapping[str, Any] | None) -> Accept | Refuse:  # noqa: ARG002
        """Contract §2.2; every failing handshake is answered (D4), and an unknown id creates nothing (D28)."""
        if self._conversations.closing:
            not_ready = {"msg_id": "SESSION$SOCKET_NOT_INITIALIZED_ERROR_MESSAGE"}
            return self._refuse("shutting_down", "The server is shutting down", not_ready)
        conversation_id = connection.query.get("conversation_id", "")
        if not conversation_id:
            return self._refuse("no_conversation_id", "No conversation_id in query params")
        if not self._admission.admits(connection.headers, connection.query):
            return self._refuse("invalid_session_api_key", "invalid_session_api_key")
        connection.facts["conversation_id"] = conversation_id
        try:
            summary = await self._conversations.summary(conversation_id)
        except StorageError as failure:
            told = self._refusals.tell(failure)
            if told is None:
                raise
            return Refuse(told.message)
        if summary is None:
            return self._refuse("not_found", "Conversation not found", {"msg_id": "CONVERSATION$NOT_FOUND"})
        epoch, last_id = summary.lifecycle["stream_epoch"], summary.lifecycle["last_event_id"]
        position = _position(connection.query.get("latest_event_id"))
        known_epoch = connection.query.get("stream_epoch", str(epoch)) == str(epoch)
        recovered = known_epoch and position <= last_id
        sink = _ConnectionSink(connection, shows_drafts=connection.query.get("drafts") == "1")
        cursor = Cursor(sink, position if recovered else -1)
        self._cursors[connection.sid] = (conversation_id, cursor)
        logger.info("client_joins", **connection.facts, position=position)
        return Accept({"recovered": recovered, "stream_epoch": epoch})

    def _refuse(self, code: str, message: str, data: Mapping[str, Any] | None = None) -> Refuse:
        self._refusals.count(code)
        return Refuse(message, data)

    def connected(self, connection: Connection) -> None:
        connection.start_soon(self._follow, connection)

    async def _follow(self, connection: Connection) -> None:
        conversation_id, cursor = self._cursors[connection.sid]
        try:
            await self._conversations.follow(conversation_id, cursor)
        except TransportError:
            return  # the connection closed while its cursor was behind
        except (StorageError, ActorError) as failure:
            _AckReply(connection, None, self._refusals).fail(failure)
            connection.disconnect(close_transport=False)

    def received(self, connection: Connection, name: str, args: list[Any], ack: Ack | None, *, size_bytes: int) -> None:
        """Contract §2.5, with refusals told (D22). Other events are ignored."""
        if name not in USER_ACTIONS:
            return
        reply = _AckReply(connection, ack, self._refusals)
        conversation_id, _ = self._cursors[connection.sid]
        try:
            body = decode_client_action(args[0] if args else None)
            terms = decode_terms(args[0])
            if terms is not None and terms.key is not None:
                reply = attrs.evolve(reply, has_key=True)
            self._conversations.submit_nowait(conversation_id, body, size_bytes=size_bytes, terms=terms, reply=reply)
        except (DecodeError, ActorError, StorageError) as failure:
            reply.fail(failure)

    def disconnected(self, connection: Connection, reason: str) -> None:
        self._cursors.pop(connection.sid, None)
        logger.info("client_left", **connection.facts, reason=reason)

    def statistics(self) -> dict[str, int]:
        return {"connections": len(self._cursors)}

    def __repr__(self) -> str:
        return f"<Gateway {len(self._cursors)} connections>"


def _position(text: str | None) -> int:
    """Missing or unparsable means everything (contract §2.2)."""
    try:
        return max(int(text or "-1"), -1)
    except ValueError:
        return -1
