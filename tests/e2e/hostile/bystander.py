"""Somebody who has nothing to do with it: says something, sees it, and goes on, all the while.

What lives here: a client in a thread of its own, and what must hold of it. What must not: the attack.
"""

import threading
import time
from pathlib import Path
from typing import Any

import trio

from bench.checkers import check_acknowledged, check_log, check_view
from bench.client import Client, open_client
from tests.e2e.server import ServerProcess
from transport.socketio.codec import PacketType, event

__all__ = ["Bystander"]

PAUSE_SECONDS = 0.005

PATIENCE_SECONDS = 10.0
"""For its next word to be answered, on a machine with other work to do; how soon exactly is judged in loop turns
(tests/transport/test_fairness.py)."""


class Bystander:
    """`start` before, `end` after, which looks at all that it saw; `goes_on` in between, as often as one likes."""

    def __init__(self, server: ServerProcess) -> None:
        self._url = server.url
        self._conversation_id = server.create()
        self._log = Path(server.data, "conversations", self._conversation_id, "events.jsonl")
        self._view: list[dict[str, Any]] = []
        self._acknowledged: list[str] = []
        self._shown: list[str] = []
        self._is_ending = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        self._wait_for_words(1)

    def end(self) -> None:
        """All that it was shown is what the log has, without a gap, and nothing that was acknowledged is missing."""
        self._is_ending = True
        self._thread.join(PATIENCE_SECONDS)
        assert self._failure is None, self._failure
        log = check_log(self._log.read_bytes())
        check_view(self._view, log, -1)
        check_acknowledged([_said(one) for one in log], self._acknowledged)
        assert len(self._view) > len(self._acknowledged)

    def goes_on(self) -> None:
        """Two words more are said and acknowledged, of which one has begun after this; and each that was acknowledged
        was shown, in its order, and none twice."""
        before = len(self._acknowledged)
        self._wait_for_words(before + 2)
        acknowledged = self._acknowledged[:-1]  # which the last may not have overtaken
        assert self._shown[: len(acknowledged)] == acknowledged

    def _wait_for_words(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self._acknowledged) < count:
            assert self._failure is None, self._failure
            assert time.monotonic() < deadline, "the bystander waits"
            time.sleep(0.005)

    def _run(self) -> None:
        try:
            trio.run(self._talk)
        except BaseException as failure:
            self._failure = failure
            raise

    async def _talk(self) -> None:
        async with open_client(self._url, {"conversation_id": self._conversation_id}) as client:
            while not self._is_ending:
                word = f"/note {len(self._acknowledged)}"
                await client.send(event("oh_user_action", {"action": "message", "args": {"content": word}}, ack_id=1))
                while not await self._is_acknowledged(client):
                    pass
                self._acknowledged.append(word)
                await trio.sleep(PAUSE_SECONDS)

    async def _is_acknowledged(self, client: Client) -> bool:
        packets = await client.receive()
        shown = [packet.data[1] for packet in packets if packet.type is PacketType.EVENT]
        self._view += (seen := [one for one in shown if "id" in one and not one.get("status_update")])
        self._shown += [word for one in seen if (word := _said(one))]
        return any(packet.type is PacketType.ACK and packet.data == [] for packet in packets)


def _said(one: dict[str, Any]) -> str:
    """What a user says in this event, if it is one."""
    is_word = one.get("action") == "message" and one.get("source") == "user"
    return str(one["args"]["content"]) if is_word else ""
