"""A crowd of clients that listen: bare sockets under one epoll, so that hundreds of them cost little.

What lives here: joining, and seeing that ids come in order, once each. What must not: a workload, or the rest of the
protocol: events are found by how they begin, and nothing else is looked at. Everything blocks; call it in a thread.
"""

import os
import re
import select
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import attrs

from bench.client import ClientError
from transport.engineio.codec import websocket_header
from transport.socketio import codec

__all__ = ["Crowd", "Listener", "open_crowd"]

RECEIVE_BYTES = 256 * 1024

_EVENT = re.compile(rb'"oh_event",\{"id":(\d+),')
BEGINNING_BYTES_MAX = 64
"""How an event begins may come in two pieces; it is never longer than this."""

_OPENED, _JOINED, _REFUSED = b'0{"sid":', b'40{"sid":', b"44{"
_PING, _PONG = b"\x81\x012", b"3"


def _masked(text: bytes) -> bytes:
    """A client's frame, under a mask that changes nothing."""
    first, second, *more = websocket_header(0x81, len(text))
    return bytes((first, second | 0x80, *more)) + bytes(4) + text


@attrs.define(eq=False)
class Listener:
    """`count` are the events that it has got, `last_id` is the id of the last; `in_order` is no longer true once an id
    came that was not above the one before."""

    socket: socket.socket
    request: bytes = b""
    joined: bool = False
    count: int = 0
    last_id: int = -1
    in_order: bool = True
    rest: bytes = b""

    def say(self, texts: Iterable[str]) -> None:
        """Messages, all at once."""
        actions = ({"action": "message", "args": {"content": text}} for text in texts)
        self.send(*(codec.event("oh_user_action", action).text for action in actions))

    def send(self, *packets: bytes) -> None:
        self.socket.sendall(b"".join(map(_masked, packets)))

    def take(self, data: bytes) -> None:
        """Raises `ClientError` when it may not join."""
        text = self.rest + data
        if _PING in text[-len(data) - len(_PING) + 1 :]:  # once each
            self.send(_PONG)
        if not self.joined:
            self._shake_hands(text)
        if self.joined:
            text = text[self._count(text) :][-BEGINNING_BYTES_MAX:]
        self.rest = text

    def _shake_hands(self, text: bytes) -> None:
        if _REFUSED in text:
            raise ClientError(f"refused: {text[text.index(_REFUSED) :]!r}")
        if _OPENED in text and _OPENED not in self.rest:
            self.send(b"40")
        self.joined = _JOINED in text

    def _count(self, text: bytes) -> int:
        """Where the last of the events has begun."""
        end = 0
        for found in _EVENT.finditer(text):
            event_id, end = int(found[1]), found.end()
            self.in_order = self.in_order and event_id > self.last_id
            self.last_id = event_id
            self.count += 1
        return end


class Crowd:
    """Made by `open_crowd`. Whoever loses the connection, or is refused, ends the bench with a `ClientError`."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._listeners: dict[int, Listener] = {}

    def join(self, url: str, queries: Iterable[Mapping[str, str | int]], seconds: float = 60.0) -> list[Listener]:
        """One for each query, all at the same moment; returns when all of them have joined."""
        listeners = [self.dial(url, query) for query in queries]
        self.wait(listeners, lambda listener: listener.joined, seconds)
        return listeners

    def dial(self, url: str, query: Mapping[str, str | int], receive_buffer_bytes: int | None = None) -> Listener:
        """One that is about to join, and does so during the next `wait`."""
        parts = urlsplit(url)
        target = urlencode({"EIO": 4, "transport": "websocket", **query})
        request = (
            f"GET /socket.io/?{target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        stream = socket.socket()
        if receive_buffer_bytes is not None:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        stream.settimeout(0)
        stream.connect_ex((parts.hostname, parts.port))
        listener = Listener(stream, request.encode())
        self._listeners[stream.fileno()] = listener
        self._poll.register(stream, select.EPOLLOUT)
        return listener

    def wait(
        self, whom: Collection[Listener], enough: Callable[[Listener], bool], seconds: float = 60.0
    ) -> list[float]:
        """Until each of them has enough; after how many seconds each had. Raises `ClientError` when some have not by
        then, and when somebody's events were not in order."""
        missing, began, waits = set(whom), time.perf_counter(), list[float]()
        self._settle(missing, enough, whom, 0.0, waits)
        while missing:
            changed = missing.intersection(self._turn(began + seconds))
            self._settle(missing, enough, changed, time.perf_counter() - began, waits)
            if time.perf_counter() > began + seconds:
                raise ClientError(f"{len(missing)} of {len(whom)} have not got everything within {seconds} s")
        if not all(listener.in_order for listener in whom):
            raise ClientError("somebody's events are not in order, or came twice")
        return waits

    def _settle(
        self,
        missing: set[Listener],
        enough: Callable[[Listener], bool],
        changed: Iterable[Listener],
        after_seconds: float,
        waits: list[float],
    ) -> None:
        satisfied = {listener for listener in changed if enough(listener)}
        missing -= satisfied
        waits += [after_seconds] * len(satisfied)

    def settle(self, seconds: float) -> None:
        """Take whatever comes for so long."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            for _ in self._turn(deadline):
                pass

    def _turn(self, deadline: float) -> Iterator[Listener]:
        """Those who have got something."""
        for fd, events in self._poll.poll(max(deadline - time.perf_counter(), 0)):
            listener = self._listeners[fd]
            if events & select.EPOLLOUT:
                listener.socket.sendall(listener.request)
                self._poll.modify(fd, select.EPOLLIN)
                continue
            try:
                data = os.read(fd, RECEIVE_BYTES)
            except OSError as failure:
                raise ClientError(f"connection lost: {failure}") from failure
            if not data:
                raise ClientError("the server closed the connection")
            listener.take(data)
            yield listener

    def ignore(self, listener: Listener) -> None:
        """Read nothing more of it: it stays, and stalls."""
        self._poll.unregister(listener.socket)

    def heed(self, listener: Listener) -> None:
        """Read on."""
        self._poll.register(listener.socket, select.EPOLLIN)

    def leave(self, whom: Iterable[Listener]) -> None:
        """Without a word."""
        for listener in whom:
            del self._listeners[listener.socket.fileno()]
            listener.socket.close()

    def everybody(self) -> list[Listener]:
        """Who has not left."""
        return list(self._listeners.values())

    def close(self) -> None:
        self.leave(self.everybody())
        self._poll.close()


@contextmanager
def open_crowd() -> Iterator[Crowd]:
    """Nobody yet."""
    crowd = Crowd()
    try:
        yield crowd
    finally:
        crowd.close()
