"""Settings and secrets as types, and what becomes of them when somebody stores others. Pure.

Names, defaults and the rules of replacement are V0's (contract §1.3).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from actors.domain.masks import MASK
from actors.settings import tool_servers

__all__ = ["KEYS", "CustomSecret", "ProviderToken", "Secrets", "Settings", "replaced", "secrets_of", "tokens_replaced"]


@attrs.frozen
class Settings:
    """In the order of the wire. None is "not set"."""

    language: str | None = None
    agent: str | None = None
    max_iterations: int | None = None
    security_analyzer: str | None = None
    confirmation_mode: bool | None = None
    llm_model: str | None = None
    llm_api_key: str | None = attrs.field(default=None, repr=False)
    llm_base_url: str | None = attrs.field(default=None, repr=False)  # may carry a password
    remote_runtime_resource_factor: int | None = None
    enable_default_condenser: bool = True
    enable_sound_notifications: bool = False
    enable_proactive_conversation_starters: bool = True
    enable_solvability_analysis: bool = True
    user_consents_to_analytics: bool | None = None
    sandbox_base_container_image: str | None = None
    sandbox_runtime_container_image: str | None = None
    mcp_config: dict[str, Any] | None = attrs.field(default=None, repr=False)
    search_api_key: str | None = attrs.field(default=None, repr=False)
    sandbox_api_key: str | None = attrs.field(default=None, repr=False)
    max_budget_per_task: float | None = None
    condenser_max_size: int | None = None
    email: str | None = None
    email_verified: bool | None = None
    git_user_name: str | None = None
    git_user_email: str | None = None


KEYS = ("llm_api_key", "search_api_key", "sandbox_api_key")
"""Never shown again, so their absence cannot mean that they are to go; an empty one does."""

_INHERITED = (*KEYS, "llm_model", "llm_base_url", "user_consents_to_analytics")


@attrs.frozen
class ProviderToken:
    """The way into a git provider; `host` where it is not the provider's own."""

    token: str = attrs.field(default="", repr=False)
    host: str | None = None
    user_id: str | None = None


@attrs.frozen
class CustomSecret:
    """A secret under a name of the user's."""

    value: str = attrs.field(repr=False)
    description: str = ""


@attrs.frozen
class Secrets:
    """`provider_tokens` by provider, `custom_secrets` by name."""

    provider_tokens: dict[str, ProviderToken] = attrs.field(factory=dict)
    custom_secrets: dict[str, CustomSecret] = attrs.field(factory=dict)


def replaced(stored: Settings | None, given: Mapping[str, Any]) -> Settings:
    """The settings after `given` were stored: all are replaced, but what is inherited and absent stays.

    A mask that comes back stands for what it hides (D41). Raises `HiddenValueUnknown`.
    """
    before = stored or Settings()
    values = {name: value for name, value in given.items() if value is not None and not _is_masked_key(name, value)}
    for name in _INHERITED:
        values.setdefault(name, getattr(before, name))
    for name in KEYS:
        values[name] = (values[name] or "").strip() or None  # pasted with a line end, they work nowhere
    if "mcp_config" in values:
        values["mcp_config"] = tool_servers.reveal(values["mcp_config"], before.mcp_config or {})
    return Settings(**values)


def _is_masked_key(name: str, value: Any) -> bool:
    """V0's clients hide keys behind asterisks."""
    return name in KEYS and value != "" and (value == MASK or not value.strip("*"))


def tokens_replaced(
    stored: Mapping[str, ProviderToken], given: Mapping[str, ProviderToken]
) -> dict[str, ProviderToken]:
    """The tokens after `given` were stored instead; an empty token keeps the old one (contract §1.3)."""
    tokens = {}
    for provider, new in given.items():
        old = stored.get(provider)
        kept = attrs.evolve(old, host=new.host) if old is not None and not new.token else new
        if kept.token or kept.user_id:
            tokens[provider] = kept
    return tokens


def secrets_of(settings: Settings | None, secrets: Secrets) -> Iterator[str]:
    """Every value that must not be written in plain text."""
    if settings is not None:
        yield from (getattr(settings, name) or "" for name in KEYS)
        yield from tool_servers.secrets_in(settings.mcp_config or {})
    yield from (token.token for token in secrets.provider_tokens.values())
    yield from (secret.value for secret in secrets.custom_secrets.values())
