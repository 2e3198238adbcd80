"""`/api/options/…`: the contract's shapes (§1.3), and nothing in a menu that nothing answers to."""

from typing import Any

from quart.typing import TestClientProtocol as Client


async def option(client: Client, name: str) -> Any:
    answer = await client.get(f"/api/options/{name}")
    assert answer.status_code == 200
    return await answer.get_json()


async def test_what_the_server_has_is_listed_sorted(client: Client) -> None:
    assert await option(client, "models") == ["understudy"]
    assert await option(client, "agents") == ["understudy"]
    assert await option(client, "security-analyzers") == ["a", "b"]


async def test_the_model_that_is_set_is_among_the_models_once(client: Client) -> None:
    await client.post("/api/settings", json={"llm_model": "maker/model"})
    assert await option(client, "models") == ["maker/model", "understudy"]
    await client.post("/api/settings", json={"llm_model": "understudy"})
    assert await option(client, "models") == ["understudy"]


async def test_a_client_starts_with_the_config(client: Client) -> None:
    assert await option(client, "config") == {
        "APP_MODE": "oss",
        "GITHUB_CLIENT_ID": "",
        "POSTHOG_CLIENT_KEY": "",
        "FEATURE_FLAGS": {"ENABLE_BILLING": False, "HIDE_LLM_SETTINGS": False},
    }
