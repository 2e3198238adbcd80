"""The gateway over real sockets and the real service: who may join, and what a refusal says."""

from typing import Any

import orjson
import pytest
import trio
from structlog.testing import capture_logs

from tests.fakes.sim_disk import Operation, SimDisk
from tests.transport.lobby import Lobby, note, open_lobby, open_speaker
from tests.transport.wire import PATIENCE_SECONDS, Raw, masked
from transport.engineio.options import Options
from transport.messages import MESSAGES


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


async def test_a_client_whose_conversation_cannot_be_read_is_told_so() -> None:
    disk = SimDisk()
    async with open_lobby(disk) as lobby:
        conversation_id = await lobby.tenancy.create()
        await lobby.tenancy.conversations.stop(conversation_id)
        disk.fail(Operation.READ, "*.jsonl", times=None)
        kind, body = await lobby.join(f"&conversation_id={conversation_id}")
        assert (kind, body) == (b"44", {"message": MESSAGES["storage_unreadable"].en})
        disk.heal()
        assert (await lobby.join(f"&conversation_id={conversation_id}"))[0] == b"40"


async def test_a_crash_behind_a_connection_is_logged_with_its_id_and_its_conversations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_lobby() as lobby:
        it = await lobby.tenancy.create()

        async def follow(*_: object) -> None:
            await trio.lowlevel.checkpoint()
            raise RuntimeError("a bug")

        monkeypatch.setattr(lobby.tenancy.conversations, "follow", follow)
        with capture_logs() as lines:
            async with open_speaker(lobby, it) as speaker:
                await speaker.raw.frames_until_eof()
        told = {line["event"]: (line["conversation_id"], line["connection"]) for line in lines}
        assert told["connection_task_crashed"] == told["client_joins"]
        assert told["client_joins"][0] == it


# --- K11, K12: what stands beside `action`, and what the ack says of it ---


async def test_k11_an_ack_under_a_key_names_the_event_and_says_whether_it_was_there() -> None:
    async with open_lobby() as lobby:
        it = await lobby.tenancy.create()
        await lobby.tenancy.conversations.rename(it, "named")  # or the first message would
        at = (await lobby.tenancy.events(it))[-1]["id"]
        async with open_speaker(lobby, it) as speaker:
            assert await speaker.ask(note("a")) == []
            assert await speaker.ask(note("b", idempotency_key="k")) == [{"event_id": at + 2, "replayed": False}]
            assert await speaker.ask(note("b", idempotency_key="k")) == [{"event_id": at + 2, "replayed": True}]
            stop = {"action": "change_agent_state", "args": {"agent_state": "stopped"}, "idempotency_key": "s"}
            assert await speaker.ask(stop) == [{"event_id": at + 4, "replayed": False}]
            assert await speaker.ask(stop) == [{"event_id": at + 4, "replayed": True}]
        async with open_speaker(lobby, it) as speaker:
            assert await speaker.ask(note("b", idempotency_key="k")) == [{"event_id": at + 2, "replayed": True}]
            [told] = await speaker.ask(note("c", idempotency_key="k"))
            assert (told["error"], told["code"]) == (True, "key_reused")
        notes = [
            event["args"]["content"] for event in await lobby.tenancy.events(it) if event.get("action") == "message"
        ]
        assert notes == ["/note a", "/note b"]


async def test_k12_a_mismatch_is_told_with_the_last_id_and_without_a_key_the_ack_stays_empty() -> None:
    async with open_lobby() as lobby:
        it = await lobby.tenancy.create()
        await lobby.tenancy.conversations.rename(it, "named")  # or the first message would
        at = (await lobby.tenancy.events(it))[-1]["id"]
        async with open_speaker(lobby, it) as speaker:
            joined_at = (await lobby.tenancy.events(it))[-1]["id"]
            assert joined_at == at
            assert await speaker.ask(note("a", expected_event_id=at)) == []
            [told] = await speaker.ask(note("b", expected_event_id=at))
            assert (told["error"], told["code"], told["last_event_id"]) == (True, "event_id_mismatch", at + 1)
            assert await speaker.ask(note("b", expected_event_id=at + 1, idempotency_key=None)) == []


async def test_k11_k12_what_is_no_key_or_no_id_is_refused_and_not_passed_over() -> None:
    async with open_lobby() as lobby:
        it = await lobby.tenancy.create()
        before = await lobby.tenancy.events(it)
        async with open_speaker(lobby, it) as speaker:
            for beside in ({"idempotency_key": ""}, {"idempotency_key": 1}, {"expected_event_id": "1"}):
                [told] = await speaker.ask(note("a", **beside))
                assert (told["error"], told["code"]) == (True, "bad_action")
                assert next(iter(beside)) in told["message"]
        assert await lobby.tenancy.events(it) == before


# --- K34: what the agent is writing ---


async def test_k34_drafts_go_to_who_asks_for_them_by_an_event_of_their_own_and_before_what_they_become() -> None:
    async with open_lobby() as lobby:
        it = await lobby.tenancy.create()
        async with open_speaker(lobby, it, "&drafts=1") as watcher, open_speaker(lobby, it) as reader:
            await reader.ask({"action": "message", "args": {"content": "/stream to be"}})
            frames: list[bytes] = []
            while not (frames and b'"content":"to be"' in frames[-1]):
                frames.append(await watcher.listen())
            parts = [orjson.loads(frame[2:]) for frame in frames if frame.startswith(b'42["greenroom_draft",')]
            assert [(name, part["text"]) for name, part in parts] == [
                ("greenroom_draft", "to"),
                ("greenroom_draft", " be"),
            ]
            said = orjson.loads(frames[-1][2:])[1]
            assert {part["after"] for _, part in parts} < set(range(said["id"]))
            while b'"content":"to be"' not in (frame := await reader.listen()):
                assert b"greenroom_draft" not in frame


# --- K33: who takes nothing ---


async def test_k33_who_takes_nothing_is_ended_and_neither_the_conversation_nor_another_client_has_waited() -> None:
    async with open_lobby(options=Options(write_timeout_seconds=0.5)) as lobby:
        it = await lobby.tenancy.create()
        stalled = await _stalled(lobby, it)
        async with open_speaker(lobby, it) as reader:
            await reader.ask({"action": "message", "args": {"content": "/burst 4000 1000"}})
            await reader.hear(lambda event: event.get("message", "").startswith("4000/4000"))
            with trio.fail_after(PATIENCE_SECONDS):
                while (summary := await lobby.tenancy.conversations.summary(it)) and summary.num_connections > 1:
                    await trio.sleep(0.05)
            assert lobby.endpoint.statistics()["slow_readers_closed"] == 1
            shown = [event["id"] for event in await lobby.tenancy.events(it) if _is_shown(event)]
            await reader.hear(lambda event: event.get("id") == shown[-1])
            assert [event["id"] for event in reader.heard if "status_update" not in event] == shown
        await stalled.aclose()


async def _stalled(lobby: Lobby, conversation_id: str) -> trio.SocketStream:
    """Who has joined, and reads nothing from then on."""
    with trio.socket.socket() as small:
        small.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
        await small.connect(("127.0.0.1", lobby.port))
        raw = Raw(trio.SocketStream(small.dup()))
    await raw.upgrade(f"&conversation_id={conversation_id}", masked(0x81, b"40"))
    return raw.stream


def _is_shown(event: dict[str, Any]) -> bool:
    return not str(event.get("observation")).startswith("greenroom.")
