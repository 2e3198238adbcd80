"""Clients that leave their namespace and keep their connection, once or over and over."""

from typing import Any

import pytest
import trio

from bench.client import Client, event_arguments, open_client
from tests.e2e.server import ServerProcess
from transport.socketio import codec

pytestmark = pytest.mark.wallclock

PATIENCE_SECONDS = 10.0


async def test_e22_a_client_that_leaves_its_namespace_and_stays_costs_nothing_more(server: ServerProcess) -> None:
    conversation_id = await trio.to_thread.run_sync(server.create)
    path = f"/api/conversations/{conversation_id}/message"
    async with open_client(server.url, {"conversation_id": conversation_id}) as client:
        await client.send(codec.disconnect())
        await trio.to_thread.run_sync(server.request, "POST", path, {"message": "/burst 50"})
        await trio.to_thread.run_sync(server.wait_for, conversation_id, "greenroom.run_ended")
        before = server.cpu_seconds()
        await trio.sleep(1)
        assert server.cpu_seconds() - before < 0.3
        assert server.request("GET", f"/api/conversations/{conversation_id}")["num_connections"] == 0


async def test_e6_a_client_that_joins_and_leaves_in_a_circle_is_one_client(server: ServerProcess) -> None:
    conversation_id = await trio.to_thread.run_sync(server.create)
    async with open_client(server.url, {"conversation_id": conversation_id}) as client:
        for _ in range(500):
            await client.send(codec.disconnect())
            await client.send(codec.connect())
        with trio.fail_after(PATIENCE_SECONDS):
            while not any(event.get("id") == 0 or "status_update" in event for event in await _events(client)):
                pass
        await _until_connected(server, conversation_id, 1)
    await _until_connected(server, conversation_id, 0)


async def _events(client: Client) -> list[Any]:
    return event_arguments(await client.receive(), "oh_event")


async def _until_connected(server: ServerProcess, conversation_id: str, count: int) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while server.request("GET", f"/api/conversations/{conversation_id}")["num_connections"] != count:
            await trio.sleep(0.05)
