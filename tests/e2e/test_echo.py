"""examples/echo as a process, driven by npm's socket.io-client and by python-socketio's two, over every transport."""

import asyncio
import json
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import socketio

from tests.e2e.echo import EchoProcess
from tests.needs import NPMS_CLIENT, need_npms_client

pytestmark = pytest.mark.wallclock

TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]
BLOB = b"\x00\xff\x1e"
SECONDS = 20.0


@pytest.fixture
def echo() -> Iterator[EchoProcess]:
    process = EchoProcess()
    process.start()
    yield process
    assert process.stop() == 0


def npm(echo: EchoProcess, transports: list[str], scenario: str) -> "subprocess.Popen[str]":
    need_npms_client()
    command = ["node", "echo.mjs", echo.url, ",".join(transports), scenario]
    return subprocess.Popen(command, cwd=NPMS_CLIENT, stdout=subprocess.PIPE, text=True)


def said(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    text, _ = process.communicate(timeout=40)
    assert process.returncode == 0, text
    return [json.loads(line) for line in text.strip().split("\n")]


# --- npm's ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_npms_client_auth_query_events_acks_binary_and_namespaces(echo: EchoProcess, transports: list[str]) -> None:
    blob = {"hex": BLOB.hex()}
    assert said(npm(echo, transports, "talk")) == [
        {"auth": [{"token": "123"}]},
        {"back": [1, "é\x1e\u2028", {"a": [None, True]}]},
        {"ack": "only one"},
        {"query": "npm"},
        {"binary": [blob, {"deep": [blob]}]},
        {"binaryAck": blob},
        {"answer": ["well?", blob, blob]},
        {"customAuth": [{"token": "abc"}]},
        {"customBack": ["there"]},
        {"refused": "Invalid namespace"},
        {"still": "here"},
        {"transport": transports[-1]},
    ]
    left = [echo.left.get(timeout=SECONDS), echo.left.get(timeout=SECONDS)]
    assert left == ["/custom: client namespace disconnect", "/: client namespace disconnect"]


def test_d7_npms_client_a_thousand_events_each_way_across_an_upgrade(echo: EchoProcess) -> None:
    [told] = said(npm(echo, ["polling", "websocket"], "many"))
    assert told == {"began": "polling", "ended": "websocket", "inOrder": True}


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_e35_npms_client_comes_back_to_a_server_that_was_restarted(echo: EchoProcess, transports: list[str]) -> None:
    process = npm(echo, transports, "back")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"connected": 1}
    assert echo.stop() == 0
    assert echo.left.get(timeout=SECONDS) == "/: server shutting down"
    echo.start()
    assert said(process) == [{"lost": "transport close"}, {"back": "again", "query": "npm"}]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_e25_e26_npms_client_and_the_three_ways_for_a_server_to_end_it(
    echo: EchoProcess, transports: list[str]
) -> None:
    assert said(npm(echo, transports, "left")) == [
        {"how": "namespace", "reason": "io server disconnect", "active": False},
        {"how": "all", "reason": "io server disconnect", "active": False},
        {"how": "drop", "reason": "transport close", "active": True},
    ]
    left = [echo.left.get(timeout=SECONDS) for _ in range(4)]
    assert left == [
        "/: server namespace disconnect",
        "/: server namespace disconnect",
        "/: forced close",
        "/: client namespace disconnect",
    ]


# --- python-socketio's, with threads -------------------------------------------------------------------------------


class Heard:
    """What a client was sent, by event."""

    def __init__(self) -> None:
        self._queues: dict[str, queue.Queue[tuple[Any, ...]]] = {}

    def of(self, name: str) -> "queue.Queue[tuple[Any, ...]]":
        return self._queues.setdefault(name, queue.Queue())

    def handler(self, name: str) -> Callable[..., None]:
        heard = self.of(name)
        return lambda *args: heard.put(args)


def sync_client(echo: EchoProcess, transports: list[str], **options: Any) -> tuple[socketio.Client, Heard]:
    client, heard = socketio.Client(**options), Heard()
    for name in ("auth", "message-back", "answer"):
        client.on(name, heard.handler(name))
        client.on(name, heard.handler(f"/custom {name}"), namespace="/custom")
    client.on("disconnect", heard.handler("disconnect"))
    client.on("connect", heard.handler("connect"))
    client.on("question", lambda *args: (*args, BLOB))
    client.connect(f"{echo.url}?who=python", transports=transports, auth={"token": "123"}, namespaces=["/", "/custom"])
    return client, heard


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_the_sync_client_auth_query_events_acks_binary_and_namespaces(echo: EchoProcess, transports: list[str]) -> None:
    client, heard = sync_client(echo, transports)
    assert heard.of("auth").get(timeout=SECONDS) == ({"token": "123"},)
    assert heard.of("/custom auth").get(timeout=SECONDS) == ({"token": "123"},)
    client.emit("message", (1, "é", {"a": [None, True]}))
    assert heard.of("message-back").get(timeout=SECONDS) == (1, "é", {"a": [None, True]})
    client.emit("message", ("there",), namespace="/custom")
    assert heard.of("/custom message-back").get(timeout=SECONDS) == ("there",)
    assert client.call("message-with-ack", ("a", BLOB), timeout=SECONDS) == ("a", BLOB)
    assert client.call("query", timeout=SECONDS)["who"] == "python"
    client.emit("message", (BLOB, {"deep": [BLOB]}))
    assert heard.of("message-back").get(timeout=SECONDS) == (BLOB, {"deep": [BLOB]})
    client.emit("ask", ("well?", BLOB))
    assert heard.of("answer").get(timeout=SECONDS) == ("well?", BLOB, BLOB)
    assert client.transport() == transports[-1]
    client.disconnect()
    client.wait()
    left = dict(echo.left.get(timeout=SECONDS).split(": ") for _ in range(2))
    # This client may close its WebSocket before the packets that say so have left it.
    assert left.keys() == {"/", "/custom"}
    assert set(left.values()) <= {"client namespace disconnect", "transport close"}


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_a17_the_sync_client_a_thousand_events_each_way(echo: EchoProcess, transports: list[str]) -> None:
    client, heard = sync_client(echo, transports)
    for number in range(1000):
        client.emit("message", number)
    # This client runs a thread for each event, so their order is proven with the others.
    assert sorted(heard.of("message-back").get(timeout=SECONDS)[0] for _ in range(1000)) == list(range(1000))
    client.disconnect()
    client.wait()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_e35_the_sync_client_comes_back_to_a_server_that_was_killed(echo: EchoProcess, transports: list[str]) -> None:
    client, heard = sync_client(echo, transports, reconnection_delay=0.1, reconnection_delay_max=0.5)
    heard.of("connect").get(timeout=SECONDS)
    echo.stop(signal.SIGKILL)
    heard.of("disconnect").get(timeout=SECONDS)
    echo.start()
    heard.of("connect").get(timeout=SECONDS)
    assert client.call("message-with-ack", "again", timeout=SECONDS) == "again"
    assert client.call("query", timeout=SECONDS)["who"] == "python"
    client.disconnect()
    client.wait()


# --- python-socketio's, on asyncio ---------------------------------------------------------------------------------


async def converse(echo: EchoProcess, transports: list[str]) -> None:
    client = socketio.AsyncClient(reconnection=False)
    heard: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    for name in ("auth", "message-back", "answer", "disconnect"):
        client.on(name, lambda *args, name=name: heard.put_nowait((name, *args)))
    client.on("question", lambda *args: (*args, BLOB))

    async def told() -> tuple[Any, ...]:
        return await asyncio.wait_for(heard.get(), SECONDS)

    await client.connect(f"{echo.url}?who=python", transports=transports, auth={"token": "123"})
    assert await told() == ("auth", {"token": "123"})
    assert await client.call("message-with-ack", ("a", BLOB)) == ("a", BLOB)
    assert (await client.call("query"))["who"] == "python"
    await client.emit("ask", ("well?", BLOB))
    assert await told() == ("answer", "well?", BLOB, BLOB)
    for number in range(1000):
        await client.emit("message", (number, BLOB) if number % 100 == 0 else number)
    for number in range(1000):
        name, *args = await told()
        assert (name, args) == ("message-back", [number, BLOB] if number % 100 == 0 else [number])
    assert client.transport() == transports[-1]
    await client.emit("leave", "namespace")
    assert (await told())[0] == "disconnect"


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_e21_the_async_client_everything_and_a_thousand_events_in_order(
    echo: EchoProcess, transports: list[str]
) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(converse(echo, transports))
        except BaseException as failure:  # noqa: BLE001 - handed over to the test's own thread
            failures.append(failure)

    # A thread of its own: this client's loop and pytest-trio's do not mix.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert failures == []
    assert echo.left.get(timeout=SECONDS) == "/: server namespace disconnect"
