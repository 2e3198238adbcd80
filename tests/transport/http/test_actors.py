"""What an operator asks over HTTP: the tree, who is in trouble, one conversation, dead letters."""

from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from quart.typing import TestClientProtocol as Client

from actors.conversation.service import Conversations
from actors.runtime import ActorCrashed
from transport.http import actors


async def get(client: Client, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, await answer.get_data()
    return await answer.get_json()


async def create(client: Client, text: str | None = None) -> str:
    answer = await client.post("/api/conversations", json={} if text is None else {"initial_user_msg": text})
    await trio.testing.wait_all_tasks_blocked()
    return str((await answer.get_json())["conversation_id"])


async def test_the_tree_is_shown_from_the_server_down(client: Client) -> None:
    it = await create(client, "/sleep 1000")
    found = await get(client, "/api/admin/actors")
    server = found["tree"]
    [conversations] = server["nodes"]
    run_times, registry = conversations["nodes"]
    assert (server["name"], conversations["name"], run_times["name"]) == ("server", "conversations", "run-times")
    [clock] = conversations["children"]
    assert (clock["name"], clock["restart"], clock["restarts"], clock["retry"]) == ("clock", "permanent", 0, None)
    [run] = run_times["children"]
    assert run["name"].startswith("run ")
    assert run["name"].endswith(it)
    assert (registry["kind"], registry["residency"], registry["restarts"]) == ("registry", {"hot": 1}, 0)
    assert found["places"] == {"busy": 1, "idle": 0, "places_max": 1000}


async def test_an_actor_is_shown_with_all_that_is_known_of_it(client: Client) -> None:
    it = await create(client, "/sleep 1000")
    found = await get(client, "/api/admin/actors")
    [actor] = found["actors"]
    assert (actor["conversation_id"], actor["status"], actor["agent_state"]) == (it, "RUNNING", "running")
    assert (actor["residency"], actor["incarnation"], actor["restarts"], actor["turn"]) == ("hot", 1, 0, None)
    empty = {"messages": 0, "oldest": None}
    assert actor["mailbox"] == {"control": empty, "work": {**empty, "bytes": 0}, "refused": 0}
    assert actor["run_time"]["run"] >= 1
    assert (actor["run_time"]["phase"], actor["run_time"]["activity"]) == ("open", "running")
    assert actor["run_time"]["sandbox"]["commands_running"] == 0
    assert actor["next"] is None
    at = datetime.fromisoformat(actor["since"]["at"])
    assert actor["since"]["at"].endswith("Z")
    assert abs((datetime.now(UTC) - at).total_seconds() - actor["since"]["seconds_ago"]) < 5


async def test_what_comes_next_and_when(client: Client) -> None:
    await create(client)
    found = await get(client, "/api/admin/actors")
    [actor] = found["actors"]
    assert actor["next"]["what"] == "hibernate"
    assert 290 < actor["next"]["in_seconds"] <= 300
    told = datetime.fromisoformat(actor["next"]["at"]) - datetime.fromisoformat(found["at"])
    assert told.total_seconds() == pytest.approx(actor["next"]["in_seconds"], abs=0.01)
    assert found["alarms"]["set"] == 1
    assert found["alarms"]["next"]["at"] == actor["next"]["at"]


@pytest.mark.parametrize(("limit", "shown"), [("2", 2), ("0", 0), ("-1", 0), ("1000000", 5), ("", 5)])
async def test_only_so_many_are_shown_and_it_is_said_how_many_more_there_are(
    client: Client, limit: str, shown: int
) -> None:
    for _ in range(5):
        await create(client)
    query = f"?limit={limit}" if limit else ""
    found = await get(client, f"/api/admin/actors{query}")
    assert (len(found["actors"]), found["more"]) == (shown, 5 - shown)


async def test_children_of_a_node_are_limited_as_well(client: Client) -> None:
    for _ in range(3):
        await create(client, "/sleep 1000")
    [conversations] = (await get(client, "/api/admin/actors?limit=1"))["tree"]["nodes"]
    run_times = conversations["nodes"][0]
    assert (len(run_times["children"]), run_times["more_children"]) == (1, 2)


async def test_between_pieces_everybody_else_has_a_turn(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors, "PIECE_ACTORS", 1)
    for _ in range(20):
        await create(client)
    answered, others = False, 0

    async def take_turns() -> None:
        nonlocal others
        while not answered:
            others += 1
            await trio.lowlevel.checkpoint()

    async def turns(limit: int) -> int:
        nonlocal answered, others
        answered, others = False, 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_turns)
            await get(client, f"/api/admin/actors?limit={limit}")
            answered = True
        return others

    assert await turns(20) - await turns(1) > 15  # the one or other turn is the test's own


async def test_one_conversation_is_explained(client: Client) -> None:
    it = await create(client, "/sleep 1000")
    found = await get(client, f"/api/admin/actors/{it}")
    assert found["conversation"]["lifecycle"]["status"] == "RUNNING"
    assert found["actor"]["conversation_id"] == it
    assert [fact["code"] for fact in found["explanation"]["held_by"]] == ["actor", "run_time", "run"]
    [waits] = found["explanation"]["waits_for"]
    assert waits["code"] == "agent_work"
    assert waits["at"].endswith("Z")
    assert waits["seconds_ago"] >= 0
    assert [fact["code"] for fact in found["explanation"]["can_do"]] == ["stop"]


async def test_a_cold_one_is_explained_and_stays_cold(client: Client) -> None:
    it = await create(client)
    await client.post(f"/api/conversations/{it}/stop", json={})
    await trio.testing.wait_all_tasks_blocked()
    found = await get(client, f"/api/admin/actors/{it}")
    assert (found["actor"]["status"], found["actor"]["agent_state"]) == ("STOPPED", "stopped")
    assert (found["actor"]["residency"], found["actor"]["incarnation"]) == ("cold", None)
    assert [fact["code"] for fact in found["explanation"]["next"]] == ["revived"]
    assert (await get(client, "/api/admin/actors"))["actors"] == []


async def test_an_unknown_one_is_a_404(client: Client) -> None:
    answer = await client.get("/api/admin/actors/unknown")
    assert answer.status_code == 404
    assert (await answer.get_json())["code"] == "not_found"


async def test_k27_dead_letters_are_counted_and_show_no_contents(client: Client, conversations: Conversations) -> None:
    assert await get(client, "/api/admin/dead-letters") == {"counts": {}, "kept": []}
    it = await create(client)
    for size_bytes in (11, 12):
        with pytest.raises(ActorCrashed):
            await conversations.ref(it).ask("secret text", size_bytes=size_bytes)  # type: ignore[arg-type]  # on purpose
        await trio.sleep(0.3)  # a crashed actor is started again after a while
    answer = await client.get("/api/admin/dead-letters")
    assert b"secret text" not in await answer.get_data()
    found = await answer.get_json()
    assert found["counts"] == {"crashed": 2}
    assert [(letter["message"], letter["size_bytes"]) for letter in found["kept"]] == [("str", 12), ("str", 11)]
    assert (found["kept"][0]["conversation_id"], found["kept"][0]["reason"]) == (it, "crashed")
    assert found["kept"][0]["at"].endswith("Z")
    assert 0 < found["kept"][0]["seconds_ago"] < 60


async def test_one_in_trouble_stands_first(client: Client, conversations: Conversations) -> None:
    crashed = await create(client)
    for _ in range(3):
        await create(client)
    with pytest.raises(ActorCrashed):
        await conversations.ref(crashed).ask("what nobody understands")  # type: ignore[arg-type]  # on purpose
    first, *_ = (await get(client, "/api/admin/actors"))["actors"]
    assert (first["conversation_id"], first["crashes"], first["residency"]) == (crashed, 1, "cold")
    assert (first["next"]["what"], first["status"]) == ("restart", None)
    assert 0 < first["retry"]["in_seconds"] < 0.1
    assert "AssertionError" in first["last_failure"]
    lifecycle = (await get(client, f"/api/conversations/{crashed}"))["lifecycle"]
    apart = datetime.fromisoformat(lifecycle["retry_at"]) - datetime.fromisoformat(first["retry"]["at"])
    assert abs(apart.total_seconds()) < 0.01


async def test_a_limit_that_is_none_is_refused(client: Client) -> None:
    assert (await client.get("/api/admin/actors?limit=many")).status_code == 422
