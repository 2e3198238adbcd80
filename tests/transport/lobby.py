"""The gateway over real sockets and the real service, on a disk in memory, and a client to talk with."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import trio

from storage.disk import Disk
from tests.actors.conversation.house import Tenancy, open_house
from tests.transport.http.conftest import OPEN
from tests.transport.wire import Raw
from transport.doorway import Doorway
from transport.engineio.endpoint import Endpoint, Upgrade
from transport.engineio.options import Options
from transport.gateway import Gateway
from transport.listener import serve
from transport.socketio.server import Server

__all__ = ["Lobby", "Speaker", "note", "open_lobby", "open_speaker"]


@attrs.define
class Lobby:
    """A server that is in the hands of the test."""

    tenancy: Tenancy
    endpoint: Endpoint
    port: int

    async def join(self, query: str, auth: str = "") -> Any:
        """The answer to CONNECT: its type and its body."""
        raw = Raw(await trio.open_tcp_stream("127.0.0.1", self.port))
        async with raw.stream:
            await raw.upgrade(query)
            assert (await raw.frame())[1].startswith(b"0{")
            await raw.text(f"40{auth}")
            answer = (await raw.frame())[1]
            return answer[:2], orjson.loads(answer[2:])


@asynccontextmanager
async def open_lobby(disk: Disk | None = None, options: Options | None = None) -> AsyncIterator[Lobby]:
    async with open_house(disk=disk) as tenancy, trio.open_nursery() as nursery:
        endpoint = Server({"/": Gateway(tenancy.conversations, OPEN)}, options).endpoint

        async def upgrade(stream: trio.SocketStream, asked: Upgrade) -> None:
            await endpoint.websocket(stream, asked)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        lobby = Lobby(tenancy, endpoint, listeners[0].socket.getsockname()[1])
        await nursery.start(endpoint.run)
        nursery.start_soon(serve, listeners, endpoint.polling, upgrade, trio.Event(), Doorway(endpoint.limits))
        yield lobby
        nursery.cancel_scope.cancel()


@attrs.define
class Speaker:
    """A joined client that reads acks and errors, and lets everything else pass."""

    raw: Raw
    sent: int = 0
    heard: list[Any] = attrs.field(factory=list)
    """What came as `oh_event`."""

    async def ask(self, *action: Any, name: str = "oh_user_action") -> Any:
        """The arguments of the ack."""
        self.sent += 1
        await self.raw.text(b"42%d" % self.sent + orjson.dumps([name, *action]))
        while True:
            frame = await self.listen()
            if frame.startswith(b"43%d[" % self.sent):
                return orjson.loads(frame[len(b"43%d" % self.sent) :])

    async def listen(self) -> bytes:
        """The next frame."""
        _, frame = await self.raw.frame()
        if frame.startswith(b'42["oh_event",'):
            self.heard.append(orjson.loads(frame[2:])[1])
        return frame

    async def hear(self, wanted: Callable[[Any], bool]) -> Any:
        """The first `oh_event`, heard before or to come, that is wanted."""
        looked_at = 0
        while not any(map(wanted, self.heard[looked_at:])):
            looked_at = len(self.heard)
            await self.listen()
        return next(filter(wanted, self.heard[looked_at:]))


@asynccontextmanager
async def open_speaker(lobby: Lobby, conversation_id: str, query: str = "") -> AsyncIterator[Speaker]:
    raw = Raw(await trio.open_tcp_stream("127.0.0.1", lobby.port))
    async with raw.stream:
        await raw.upgrade(f"&conversation_id={conversation_id}{query}")
        assert (await raw.frame())[1].startswith(b"0{")
        await raw.text("40")
        assert (await raw.frame())[1].startswith(b"40")
        yield Speaker(raw)


def note(text: str, **beside: object) -> dict[str, object]:
    return {"action": "message", "args": {"content": f"/note {text}"}, **beside}
