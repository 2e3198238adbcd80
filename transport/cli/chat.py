"""`greenroom chat`: a terminal client over trio-websocket. Shows messages, commands and outputs as they come, and
resumes by id after a lost connection."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode, urlsplit

import attrs
import trio
import trio_websocket

from transport.engineio.codec import PacketType as EnginePacketType
from transport.engineio.codec import decode_text, text_packet
from transport.errors import TransportError
from transport.socketio import codec

__all__ = ["chat"]

RECONNECT_SECONDS = 1.0
PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
REQUEST_TIMEOUT_SECONDS = 10.0

PONG = text_packet(EnginePacketType.PONG).text.decode()


class ChatError(OSError):
    """The conversation cannot be had; the text says why in one line."""


def chat(url: str, conversation_id: str | None) -> None:
    """Talk until end of input. Raises `OSError`."""
    chosen = conversation_id or _create(url)
    print(f"conversation {chosen}  (resume: greenroom chat --url {url} --conversation {chosen})", flush=True)
    trio.run(_Chat(url, chosen).run)


def _create(url: str) -> str:
    request = urllib.request.Request(  # noqa: S310 - the user's own server
        f"{url}/api/conversations", b"{}", {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            return str(json.load(answer)["conversation_id"])
    except (urllib.error.URLError, ValueError, KeyError) as failure:
        raise ChatError(f"no conversation from {url}: {failure}") from failure


@attrs.define
class _Chat:
    url: str
    conversation_id: str
    latest_event_id: int = -1
    _outgoing: list[str] = attrs.field(factory=list)
    _typed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_lines, nursery.cancel_scope)
            while True:
                try:
                    await self._one_connection()
                except (trio_websocket.HandshakeError, trio_websocket.ConnectionClosed, OSError) as failure:
                    if isinstance(failure, ChatError):
                        raise
                    print(f"[connection lost: {failure}; trying again]", file=sys.stderr)
                await trio.sleep(RECONNECT_SECONDS)

    async def _read_lines(self, scope: trio.CancelScope) -> None:
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            if line.strip():
                self._outgoing.append(line.rstrip("\n"))
                self._typed.unpark_all()
        while self._outgoing:  # noqa: ASYNC110 - the end of the input, not a place to be quick
            await trio.sleep(0.05)
        await trio.sleep(RECONNECT_SECONDS)  # what the last line led to is still on its way
        scope.cancel()

    def _open(self) -> AbstractAsyncContextManager[trio_websocket.WebSocketConnection]:
        parts = urlsplit(self.url)
        query = {
            "EIO": 4,
            "transport": "websocket",
            "conversation_id": self.conversation_id,
            "latest_event_id": self.latest_event_id,
        }
        connection: Any = trio_websocket.open_websocket_url(
            f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/socket.io/?{urlencode(query)}",
            max_message_size=PAYLOAD_BYTES_MAX,
        )
        opened: AbstractAsyncContextManager[trio_websocket.WebSocketConnection] = connection
        return opened

    async def _one_connection(self) -> None:
        async with self._open() as socket, trio.open_nursery() as nursery:
            decoder = codec.Decoder(10, PAYLOAD_BYTES_MAX)
            await socket.send_message(codec.connect().text.decode())
            while True:
                packet = decode_text(str(await socket.get_message()))
                if packet.type is EnginePacketType.PING:
                    await socket.send_message(PONG)
                elif packet.type is EnginePacketType.MESSAGE:
                    try:
                        found = decoder.feed(packet.data)
                    except TransportError as failure:
                        raise ChatError(f"the server sent no Socket.IO: {failure}") from failure
                    self._take(found, lambda: nursery.start_soon(self._send_lines, socket))

    def _take(self, packet: codec.Packet | None, joined: Callable[[], None]) -> None:
        if packet is None:
            return
        if packet.type is codec.PacketType.CONNECT:
            joined()
        elif packet.type is codec.PacketType.CONNECT_ERROR:
            raise ChatError(f"the server refused: {packet.data.get('message', packet.data)}")
        elif packet.type is codec.PacketType.DISCONNECT:
            raise ChatError("the conversation was stopped")
        elif packet.type is codec.PacketType.EVENT and packet.data[0] == "oh_event":
            self._show(packet.data[1])

    async def _send_lines(self, socket: trio_websocket.WebSocketConnection) -> None:
        while True:
            while self._outgoing:
                action = {"action": "message", "args": {"content": self._outgoing[0]}}
                await socket.send_message(codec.event("oh_user_action", action).text.decode())
                del self._outgoing[0]
            await self._typed.park()

    def _show(self, event: dict[str, Any]) -> None:
        if isinstance(event.get("id"), int):
            self.latest_event_id = max(self.latest_event_id, event["id"])
        line = _line(event)
        if line is not None:
            print(line, flush=True)


def _line(event: dict[str, Any]) -> str | None:  # noqa: PLR0911 - one flat table
    """What a person is shown of an event; None for nothing."""
    match event:
        case {"error": True, "message": message}:
            return f"[refused: {message}]"
        case {"source": source, "action": "message", "args": {"content": content}}:
            return f"{source}: {content}"
        case {"action": "run", "args": {"command": command}}:
            return f"$ {command}"
        case {"observation": "run", "content": content, "extras": {"metadata": {"exit_code": code}}}:
            return f"{str(content).rstrip()}\n[exit code {code}]"
        case {"observation": "error", "content": content}:
            return f"[error: {content}]"
        case {"observation": "agent_state_changed", "extras": {"agent_state": state, "reason": reason}}:
            return f"[agent: {state}{': ' + reason if reason else ''}]"
        case {"action": "finish" | "think", "message": message}:
            return f"agent: {message}"
    return None
