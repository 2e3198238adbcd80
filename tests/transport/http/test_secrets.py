"""`/api/secrets` and provider tokens: bodies and statuses of contract §1.3; no answer holds a value."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from actors.settings.keeper import CUSTOM_SECRETS_MAX

VALUE = "sk-4711-secret"
SECRETS = "/api/secrets"


async def ask(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = await client.open(path, method=method, **({} if body is None else {"json": body}))
    assert VALUE not in await answer.get_data(as_text=True)
    return answer.status_code, await answer.get_json()


async def names(client: Client) -> dict[str, str]:
    status, told = await ask(client, "GET", SECRETS)
    assert status == 200
    return {secret["name"]: secret["description"] for secret in told["custom_secrets"]}


async def test_before_the_first_there_are_none(client: Client) -> None:
    assert await ask(client, "GET", SECRETS) == (200, {"custom_secrets": []})


async def test_created_listed_renamed_and_deleted(client: Client) -> None:
    status, told = await ask(client, "POST", SECRETS, {"name": "S1", "value": VALUE, "description": "d1"})
    assert (status, told) == (201, {"message": "The secret is stored"})
    await ask(client, "POST", SECRETS, {"name": "A b", "value": VALUE})
    assert await ask(client, "GET", SECRETS) == (
        200, {"custom_secrets": [{"name": "A b", "description": ""}, {"name": "S1", "description": "d1"}]},
    )  # fmt: skip
    assert (await ask(client, "PUT", f"{SECRETS}/S1", {"name": "S2"}))[0] == 200
    assert await names(client) == {"A b": "", "S2": "d1"}
    assert (await ask(client, "PUT", f"{SECRETS}/A%20b", {"name": "A b", "description": "d2"}))[0] == 200
    assert await names(client) == {"A b": "d2", "S2": "d1"}
    status, told = await ask(client, "DELETE", f"{SECRETS}/S2")
    assert (status, set(told)) == (200, {"message"})
    assert await names(client) == {"A b": "d2"}


async def test_a_name_is_given_once(client: Client) -> None:
    await ask(client, "POST", SECRETS, {"name": "S1", "value": VALUE})
    await ask(client, "POST", SECRETS, {"name": "S2", "value": VALUE})
    taken = (400, {"message": "Secret S1 already exists"})
    assert await ask(client, "POST", SECRETS, {"name": "S1", "value": "other"}) == taken
    assert await ask(client, "PUT", f"{SECRETS}/S2", {"name": "S1"}) == taken
    assert await names(client) == {"S1": "", "S2": ""}


async def test_a_renamed_secret_keeps_its_value(client: Client) -> None:
    await ask(client, "POST", SECRETS, {"name": "S1", "value": VALUE})
    await ask(client, "PUT", f"{SECRETS}/S1", {"name": "S2", "description": "d"})
    _, created = await ask(client, "POST", "/api/conversations", {"initial_user_msg": f"/note {VALUE}"})
    await ask(client, "GET", f"/api/conversations/{created['conversation_id']}/events")  # checks that it is masked


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_an_unknown_secret_is_a_404(client: Client, method: str) -> None:
    body = {"name": "S2"} if method == "PUT" else None
    assert await ask(client, method, f"{SECRETS}/S1", body) == (404, {"error": "There is no secret S1"})


@pytest.mark.parametrize("value", ["", "abc", "------"])
async def test_d41_a_value_that_cannot_be_hidden_is_taken_and_told(client: Client, value: str) -> None:
    status, told = await ask(client, "POST", SECRETS, {"name": "S1", "value": value})
    assert status == 201
    assert "too short or too plain" in told["message"]
    _, created = await ask(client, "POST", "/api/conversations", {"initial_user_msg": "/note abc ------"})
    _, page = await ask(client, "GET", f"/api/conversations/{created['conversation_id']}/events")
    assert page["events"][1]["message"] == "/note abc ------"


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("POST", SECRETS, {"value": VALUE}, {"type": "missing", "loc": ["body", "name"]}),
        ("POST", SECRETS, {"name": "S1"}, {"type": "missing", "loc": ["body", "value"]}),
        ("POST", SECRETS, {"name": "S1", "value": [VALUE]}, {"type": "string_type", "loc": ["body", "value"]}),
        ("POST", SECRETS, {"name": 1, "value": VALUE}, {"type": "string_type", "loc": ["body", "name"], "input": None}),
        ("POST", SECRETS, {"name": {"S1": VALUE}}, {"type": "string_type", "loc": ["body", "name"]}),
        ("POST", SECRETS, {"name": f"{VALUE}/x", "value": "S1"}, {"type": "string_pattern_mismatch"}),
        (
            "POST", SECRETS, {"name": "S1", "value": "v", "description": [VALUE]},
            {"type": "string_type", "loc": ["body", "description"]},
        ),
        ("POST", SECRETS, {"name": " ", "value": VALUE}, {"type": "string_pattern_mismatch", "loc": ["body", "name"]}),
        ("POST", SECRETS, {"name": "a/b", "value": VALUE}, {"type": "string_pattern_mismatch"}),
        ("POST", SECRETS, {"name": "..", "value": VALUE}, {"type": "string_pattern_mismatch"}),
        ("POST", SECRETS, {"name": "a\nb", "value": VALUE}, {"type": "string_pattern_mismatch"}),
        ("POST", SECRETS, {"name": "a" * 129, "value": VALUE}, {"type": "string_too_long", "ctx": {"max_length": 128}}),
        ("POST", SECRETS, {"name": "a", "value": VALUE * 4000}, {"type": "string_too_long", "loc": ["body", "value"]}),
        ("POST", SECRETS, [VALUE], {"type": "dict_type", "loc": ["body"], "input": None}),
        ("PUT", f"{SECRETS}/S1", {}, {"type": "missing", "loc": ["body", "name"]}),
        ("PUT", f"{SECRETS}/S1", {"name": "S1", "value": VALUE}, {"type": "extra_forbidden", "loc": ["body", "value"]}),
        ("POST", "/api/add-git-providers", {}, {"type": "missing", "loc": ["body", "provider_tokens"]}),
        ("POST", "/api/add-git-providers", {"provider_tokens": [VALUE]}, {"type": "dict_type", "input": None}),
        ("POST", "/api/add-git-providers", {"provider_tokens": {VALUE: {}}}, {"type": "enum", "input": None}),
        (
            "POST", "/api/add-git-providers", {"provider_tokens": {"github": VALUE}},
            {"type": "dict_type", "loc": ["body", "provider_tokens", "github"], "input": None},
        ),
        (
            "POST", "/api/add-git-providers", {"provider_tokens": {"github": {"token": [VALUE]}}},
            {"type": "string_type", "loc": ["body", "provider_tokens", "github", "token"], "input": None},
        ),
        (
            "POST", "/api/add-git-providers", {"provider_tokens": {}, "mcp_config": {}},
            {"type": "unsupported", "loc": ["body", "mcp_config"]},
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_understood_is_a_422_without_the_value(
    client: Client, method: str, path: str, body: Any, problem: dict[str, Any]
) -> None:
    status, told = await ask(client, method, path, body)
    [detail] = told["detail"]
    assert status == 422
    assert detail["msg"]
    assert {name: detail[name] for name in problem} == problem
    assert await names(client) == {}


async def test_there_is_an_end_to_how_many_are_kept(client: Client) -> None:
    for number in range(CUSTOM_SECRETS_MAX):
        assert (await ask(client, "POST", SECRETS, {"name": f"S{number}", "value": VALUE}))[0] == 201
    status, told = await ask(client, "POST", SECRETS, {"name": "more", "value": VALUE})
    assert (status, set(told)) == (400, {"message"})
    await ask(client, "DELETE", f"{SECRETS}/S0")
    assert (await ask(client, "POST", SECRETS, {"name": "more", "value": VALUE}))[0] == 201


async def providers(client: Client) -> dict[str, str | None]:
    await ask(client, "POST", "/api/settings", {})
    return dict((await ask(client, "GET", "/api/settings"))[1]["provider_tokens_set"])


async def give(client: Client, tokens: dict[str, Any]) -> None:
    status, told = await ask(client, "POST", "/api/add-git-providers", {"provider_tokens": tokens})
    assert (status, set(told)) == (200, {"message"})


async def test_provider_tokens_replace_all_and_an_empty_one_keeps_the_old(client: Client) -> None:
    await give(client, {"github": {"token": VALUE}, "gitlab": {"token": VALUE, "host": "git.example"}})
    assert await providers(client) == {"github": None, "gitlab": "git.example"}
    await give(client, {"github": {"token": "", "host": "gh.example"}, "bitbucket": {"token": None}})
    assert await providers(client) == {"github": "gh.example"}
    _, created = await ask(client, "POST", "/api/conversations", {"initial_user_msg": f"/note {VALUE}"})
    await ask(client, "GET", f"/api/conversations/{created['conversation_id']}/events")  # checks that it is masked


async def test_provider_tokens_are_unset(client: Client) -> None:
    await give(client, {"github": {"token": VALUE}})
    status, told = await ask(client, "POST", "/api/unset-provider-tokens")
    assert (status, set(told)) == (200, {"message"})
    assert await providers(client) == {}
