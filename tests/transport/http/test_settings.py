"""`/api/settings`: replaced as V0 replaces them, and a key that went in never comes out (contract §1.3)."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from actors.domain.masks import MASK

SETTINGS = "/api/settings"
KEY = "sk-4711-secret"

FIRST_RUN: dict[str, Any] = {
    "language": None, "agent": None, "max_iterations": None, "security_analyzer": None, "confirmation_mode": None,
    "llm_model": None, "llm_api_key": None, "llm_base_url": None, "remote_runtime_resource_factor": None,
    "secrets_store": {"provider_tokens": {}}, "enable_default_condenser": True, "enable_sound_notifications": False,
    "enable_proactive_conversation_starters": True, "enable_solvability_analysis": True,
    "user_consents_to_analytics": None, "sandbox_base_container_image": None, "sandbox_runtime_container_image": None,
    "mcp_config": None, "search_api_key": None, "sandbox_api_key": None, "max_budget_per_task": None,
    "condenser_max_size": None, "email": None, "email_verified": None, "git_user_name": None, "git_user_email": None,
    "provider_tokens_set": {}, "llm_api_key_set": False, "search_api_key_set": False,
}  # fmt: skip


async def post(client: Client, body: Any) -> tuple[int, Any]:
    answer = await client.post(SETTINGS, json=body)
    return answer.status_code, await answer.get_json()


async def get(client: Client) -> dict[str, Any]:
    answer = await client.get(SETTINGS)
    assert answer.status_code == 200
    assert KEY not in await answer.get_data(as_text=True)
    return dict(await answer.get_json())


async def test_before_the_first_post_there_are_none(client: Client) -> None:
    answer = await client.get(SETTINGS)
    assert (answer.status_code, await answer.get_json()) == (404, {"error": "Settings not found"})


async def test_d30_what_was_posted_is_found_in_v0s_shape_and_order(client: Client) -> None:
    assert await post(client, {}) == (200, {"message": "Settings stored"})
    found = await get(client)
    assert found == FIRST_RUN
    assert list(found) == list(FIRST_RUN)


async def test_keys_are_set_and_not_shown_and_stay_when_they_are_absent(client: Client) -> None:
    keys = {"llm_api_key": f"{KEY}\n", "search_api_key": KEY, "sandbox_api_key": KEY, "llm_base_url": "http://x/v1"}
    await post(client, {**keys, "llm_model": "m", "language": "en", "confirmation_mode": True})
    await post(client, {"llm_api_key": None})
    found = await get(client)
    assert found == FIRST_RUN | {
        "llm_model": "m", "llm_base_url": "http://x/v1", "llm_api_key_set": True, "search_api_key_set": True,
    }  # fmt: skip


async def test_an_empty_key_takes_the_stored_one_away(client: Client) -> None:
    await post(client, {"llm_api_key": KEY, "search_api_key": KEY})
    await post(client, {"llm_api_key": "", "search_api_key": " "})
    found = await get(client)
    assert (found["llm_api_key_set"], found["search_api_key_set"]) == (False, False)


@pytest.mark.parametrize("sent", ["**********", MASK])
async def test_d41_a_mask_that_comes_back_does_not_replace_the_key(client: Client, sent: str) -> None:
    await post(client, {"llm_api_key": KEY})
    await post(client, {"llm_api_key": sent})
    assert (await get(client))["llm_api_key_set"] is True
    await client.post("/api/conversations", json={"initial_user_msg": f"/note {KEY}"})
    [listed] = (await (await client.get("/api/conversations")).get_json())["results"]
    events = await (await client.get(f"/api/conversations/{listed['conversation_id']}/events")).get_data(as_text=True)
    assert f"/note {MASK}" in events  # the key is known still, and not the mask in its place


async def test_everything_else_is_replaced_and_unknown_keys_are_ignored(client: Client) -> None:
    await post(client, {"agent": "a", "max_iterations": 5, "email": "e@x", "max_budget_per_task": 1.5, "zzz": 1})
    assert (await get(client))["max_budget_per_task"] == 1.5
    await post(client, {"user_consents_to_analytics": False, "enable_sound_notifications": True})
    await post(client, {"enable_sound_notifications": None})
    assert await get(client) == FIRST_RUN | {"user_consents_to_analytics": False}


async def test_a_number_may_come_as_text(client: Client) -> None:
    await post(client, {"max_iterations": "7", "max_budget_per_task": 2, "condenser_max_size": 20.0})
    found = await get(client)
    assert (found["max_iterations"], found["max_budget_per_task"], found["condenser_max_size"]) == (7, 2, 20)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"max_iterations": "many"}, {"type": "int_parsing", "loc": ["body", "max_iterations"], "input": "many"}),
        ({"max_iterations": 1.5}, {"type": "int_from_float", "loc": ["body", "max_iterations"], "input": 1.5}),
        ({"max_iterations": True}, {"type": "int_type", "loc": ["body", "max_iterations"], "input": True}),
        ({"max_iterations": 1e300}, {"type": "number_range", "loc": ["body", "max_iterations"], "input": 1e300}),
        ({"max_iterations": 2**60}, {"type": "number_range", "loc": ["body", "max_iterations"], "input": 2**60}),
        ({"max_budget_per_task": "nan"}, {"type": "number_range", "loc": ["body", "max_budget_per_task"]}),
        ({"max_budget_per_task": []}, {"type": "float_type", "loc": ["body", "max_budget_per_task"]}),
        ({"condenser_max_size": 19}, {"type": "greater_than_equal", "input": 19, "ctx": {"ge": 20}}),
        ({"language": 1}, {"type": "string_type", "loc": ["body", "language"], "input": 1}),
        ({"confirmation_mode": "yes"}, {"type": "bool_type", "loc": ["body", "confirmation_mode"]}),
        ({"llm_api_key": [KEY]}, {"type": "string_type", "loc": ["body", "llm_api_key"], "input": None}),
        ({"mcp_config": [KEY]}, {"type": "dict_type", "loc": ["body", "mcp_config"], "input": None}),
        ([KEY], {"type": "dict_type", "loc": ["body"], "input": None}),
        *(
            ({"mcp_config": config}, {"type": kind, "loc": ["body", "mcp_config", *loc], "input": None})
            for config, kind, loc in (
                ({KEY[:3]: []}, "extra_forbidden", [KEY[:3]]),
                ({"sse_servers": KEY}, "list_type", ["sse_servers"]),
                ({"sse_servers": [7]}, "dict_type", ["sse_servers", 0]),
                ({"stdio_servers": ["http://a"]}, "dict_type", ["stdio_servers", 0]),
                ({"shttp_servers": [{"api_key": KEY}]}, "missing", ["shttp_servers", 0, "url"]),
                (
                    {"sse_servers": ["http://a", {"url": "u", "api_key": [KEY]}]},
                    "string_type",
                    ["sse_servers", 1, "api_key"],
                ),
                ({"sse_servers": [{"url": "u", "timeout": 5}]}, "extra_forbidden", ["sse_servers", 0, "timeout"]),
                ({"shttp_servers": [{"url": "u", "timeout": KEY}]}, "int_type", ["shttp_servers", 0, "timeout"]),
                (
                    {"stdio_servers": [{"name": "n", "command": "c", "args": ["a", [KEY]]}]},
                    "string_type",
                    ["stdio_servers", 0, "args", 1],
                ),
                (
                    {"stdio_servers": [{"name": "n", "command": "c", "env": {"API_KEY": [KEY]}}]},
                    "string_type",
                    ["stdio_servers", 0, "env", "API_KEY"],
                ),
            )
        ),
        (
            {"mcp_config": {"sse_servers": [{"url": "u", "api_key": MASK}]}},
            {"type": "masked_value", "loc": ["body", "mcp_config", "sse_servers", 0, "api_key"], "input": MASK},
        ),
    ],
)
async def test_what_cannot_be_understood_is_a_422_that_stores_nothing_and_shows_no_key(
    client: Client, body: Any, problem: dict[str, Any]
) -> None:
    status, told = await post(client, body)
    assert status == 422
    [detail] = told["detail"]
    assert {name: detail[name] for name in problem} == problem
    assert KEY not in str(told)
    assert (await client.get(SETTINGS)).status_code == 404


async def test_all_problems_are_told_at_once(client: Client) -> None:
    _, told = await post(client, {"language": 1, "max_iterations": "x", "condenser_max_size": 1})
    assert [problem["loc"][1] for problem in told["detail"]] == ["language", "max_iterations", "condenser_max_size"]


async def test_the_keys_of_tool_servers_are_masks_that_may_come_back(client: Client) -> None:
    config = {
        "sse_servers": [{"url": "http://a", "api_key": KEY}, "http://plain"],
        "stdio_servers": [{"name": "n", "command": "c", "args": [], "env": {"API_KEY": KEY, "MODE": "production"}}],
        "shttp_servers": [],
    }
    await post(client, {"mcp_config": config})
    shown = (await get(client))["mcp_config"]
    assert shown["sse_servers"] == [{"url": "http://a", "api_key": MASK}, "http://plain"]
    assert shown["stdio_servers"][0]["env"] == {"API_KEY": MASK, "MODE": "production"}
    assert (await post(client, {"mcp_config": shown}))[0] == 200
    assert (await get(client))["mcp_config"] == shown


async def test_there_is_no_reset(client: Client) -> None:
    answer = await client.post("/api/reset-settings", json={})
    assert answer.status_code == 410
    assert set(await answer.get_json()) == {"error"}
