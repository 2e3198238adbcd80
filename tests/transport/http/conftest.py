"""The REST application over the real service, on a disk in memory and with a sandbox that runs nothing."""

from collections.abc import AsyncIterator

import attrs
import pytest
from quart.typing import TestClientProtocol as Client

from actors.agent.understudy import Understudy
from actors.conversation.service import Conversations, open_conversations
from actors.conversation.summary import describe
from actors.runtime import open_supervisor
from actors.settings.keeper import open_keeper
from storage.memory_disk import MemoryDisk
from storage.secrets import open_safe
from storage.store import open_store
from tests.fakes.scripted_sandbox import ScriptedSandbox
from transport.admission import Admission
from transport.http import actors, options, secrets, settings
from transport.http.app import make_app
from transport.http.options import Offer
from transport.origins import OriginPolicy
from transport.ratelimit import RateLimiter

OPEN = Admission(None, RateLimiter(0, 1))
"""Everybody may come in, as often as they like."""

POLICY = OriginPolicy(on_loopback=True, permitted_origins=("http://ui.example",))

OFFER = Offer(models=("understudy",), agents=("understudy",), security_analyzers=("b", "a"))


@attrs.frozen
class Service:
    """The application's client, and what the application speaks for."""

    client: Client
    conversations: Conversations


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    disk = MemoryDisk()
    async with open_store(disk, describe) as store:
        keeper = await open_keeper(await open_safe(disk))
        async with (
            open_supervisor("server") as server,
            open_conversations(
                store, Understudy(), ScriptedSandbox.open, masks=keeper.masks, below=server
            ) as conversations,
        ):
            resources = (
                settings.blueprint(keeper), secrets.blueprint(keeper), options.blueprint(OFFER, keeper),
                actors.blueprint(conversations, server.statistics),
            )  # fmt: skip
            app = make_app(
                conversations, POLICY, OPEN, lambda: {"ready": True, "durability": "sync"}, resources=resources
            )
            yield Service(app.test_client(), conversations)


@pytest.fixture
async def client(service: Service) -> Client:
    return service.client


@pytest.fixture
async def conversations(service: Service) -> Conversations:
    return service.conversations


@pytest.fixture
async def conversation_id(client: Client) -> str:
    answer = await client.post("/api/conversations", json={})
    return str((await answer.get_json())["conversation_id"])
