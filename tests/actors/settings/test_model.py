"""What storing other settings or tokens leaves behind (contract §1.3), case by case."""

from typing import Any

import attrs
import pytest

from actors.domain.masks import MASK
from actors.settings.errors import HiddenValueUnknown
from actors.settings.model import (
    KEYS,
    CustomSecret,
    ProviderToken,
    Secrets,
    Settings,
    replaced,
    secrets_of,
    tokens_replaced,
)

FULL = Settings(
    language="en", agent="a", max_iterations=3, security_analyzer="rules", confirmation_mode=True, llm_model="m",
    llm_api_key="key-llm", llm_base_url="http://u", remote_runtime_resource_factor=1, enable_default_condenser=False,
    enable_sound_notifications=True, enable_proactive_conversation_starters=False, enable_solvability_analysis=False,
    user_consents_to_analytics=True, sandbox_base_container_image="b", sandbox_runtime_container_image="r",
    mcp_config={"sse_servers": [{"url": "u", "api_key": "key-mcp"}]}, search_api_key="key-search",
    sandbox_api_key="key-sandbox", max_budget_per_task=1.5, condenser_max_size=20, email="e", email_verified=True,
    git_user_name="n", git_user_email="g",
)  # fmt: skip
INHERITED = {"llm_model", "llm_base_url", "user_consents_to_analytics", *KEYS}


@pytest.mark.parametrize("given", [{}, dict.fromkeys(attrs.fields_dict(Settings))])
def test_absent_and_null_go_back_to_the_default_but_for_what_is_inherited(given: dict[str, Any]) -> None:
    after = replaced(FULL, given)
    for name in attrs.fields_dict(Settings):
        expected = getattr(FULL, name) if name in INHERITED else getattr(Settings(), name)
        assert getattr(after, name) == expected, name


def test_all_that_is_given_is_taken() -> None:
    assert replaced(None, attrs.asdict(FULL)) == FULL


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(("sent", "left"), [("", None), ("  ", None), (" new\n", "new"), (MASK, ...), ("***", ...)])
def test_a_key_is_replaced_cleared_or_kept(name: str, sent: str, left: Any) -> None:
    after = getattr(replaced(FULL, {name: sent}), name)
    assert after == (getattr(FULL, name) if left is ... else left)


def test_a_mask_without_a_stored_key_is_no_key() -> None:
    assert replaced(None, {"llm_api_key": MASK}).llm_api_key is None


def test_a_mask_of_a_tool_server_is_found_again_or_told() -> None:
    shown = {"sse_servers": [{"url": "u", "api_key": MASK}]}
    assert replaced(FULL, {"mcp_config": shown}).mcp_config == FULL.mcp_config
    with pytest.raises(HiddenValueUnknown):
        replaced(None, {"mcp_config": shown})


def test_false_and_zero_are_values() -> None:
    after = replaced(FULL, {"user_consents_to_analytics": False, "max_budget_per_task": 0.0, "max_iterations": 0})
    assert (after.user_consents_to_analytics, after.max_budget_per_task, after.max_iterations) == (False, 0.0, 0)


@pytest.mark.parametrize(
    ("stored", "given", "left"),
    [
        ({}, {"github": ProviderToken("new")}, {"github": ProviderToken("new")}),
        ({"github": ProviderToken("old", "h")}, {"github": ProviderToken("new")}, {"github": ProviderToken("new")}),
        (
            {"github": ProviderToken("old", "h", "7")},
            {"github": ProviderToken("", "other")},
            {"github": ProviderToken("old", "other", "7")},
        ),
        ({"github": ProviderToken("old")}, {"gitlab": ProviderToken("new")}, {"gitlab": ProviderToken("new")}),
        ({"github": ProviderToken("old")}, {}, {}),
        ({}, {"github": ProviderToken("", "host")}, {}),
    ],
)
def test_tokens_replace_all_and_an_empty_one_keeps_the_old(
    stored: dict[str, ProviderToken], given: dict[str, ProviderToken], left: dict[str, ProviderToken]
) -> None:
    assert tokens_replaced(stored, given) == left


def test_every_secret_is_among_the_secrets_and_in_no_repr() -> None:
    secrets = Secrets({"github": ProviderToken("key-github")}, {"S": CustomSecret("key-custom", "shown")})
    found = set(secrets_of(FULL, secrets))
    assert found == {"key-llm", "key-search", "key-sandbox", "key-mcp", "key-github", "key-custom"}
    assert not any(secret in f"{FULL!r} {secrets!r}" for secret in found)
    assert "shown" in repr(secrets)


def test_who_has_stored_nothing_has_no_secrets() -> None:
    assert list(secrets_of(None, Secrets())) == []
