"""The gateway over real sockets and the real service: who may join, and what a refusal says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import trio

from tests.actors.conversation.house import Tenancy, open_house
from tests.transport.http.conftest import OPEN
from tests.transport.wire import Raw
from transport.engineio.endpoint import Upgrade
from transport.gateway import Gateway
from transport.listener import serve
from transport.messages import MESSAGES
from transport.socketio.server import Server


@attrs.define
class Lobby:
    """A server that is in the hands of the test."""

    tenancy: Tenancy
    port: int = 0

    async def join(self, query: str) -> Any:
        """The answer to CONNECT: its type and its body."""
        raw = Raw(await trio.open_tcp_stream("127.0.0.1", self.port))
        async with raw.stream:
            await raw.upgrade(query)
            assert (await raw.frame())[1].startswith(b"0{")
            await raw.text("40")
            answer = (await raw.frame())[1]
            return answer[:2], orjson.loads(answer[2:])


@asynccontextmanager
async def open_lobby() -> AsyncIterator[Lobby]:
    async with open_house() as tenancy, trio.open_nursery() as nursery:
        lobby = Lobby(tenancy)
        endpoint = Server({"/": Gateway(tenancy.conversations, OPEN)}).endpoint

        async def upgrade(stream: trio.SocketStream, asked: Upgrade) -> None:
            await endpoint.websocket(stream, asked)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        lobby.port = listeners[0].socket.getsockname()[1]
        await nursery.start(endpoint.run)
        nursery.start_soon(serve, listeners, endpoint.polling, upgrade, trio.Event())
        yield lobby
        nursery.cancel_scope.cancel()


async def test_a_connection_to_a_server_that_is_not_ready_is_refused_by_its_id() -> None:
    async with open_lobby() as lobby:
        conversation_id = await lobby.tenancy.create()
        assert (await lobby.join(f"&conversation_id={conversation_id}"))[0] == b"40"
        lobby.tenancy.conversations.refuse_commands()
        kind, body = await lobby.join(f"&conversation_id={conversation_id}")
        assert (kind, body["data"]) == (b"44", {"msg_id": "SESSION$SOCKET_NOT_INITIALIZED_ERROR_MESSAGE"})
        assert body["data"]["msg_id"] in MESSAGES


async def test_no_id_and_an_unknown_one_are_refused_and_create_nothing() -> None:
    async with open_lobby() as lobby:
        assert await lobby.join("") == (b"44", {"message": "No conversation_id in query params"})
        kind, body = await lobby.join(f"&conversation_id={'0' * 32}")
        assert (kind, body["data"]) == (b"44", {"msg_id": "CONVERSATION$NOT_FOUND"})
        assert await lobby.tenancy.conversations.page(limit=1, cursor=None, where={}) == ([], None)
