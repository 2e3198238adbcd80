"""`/api/settings` (contract §1.3): what the user has set; keys go in and never come out.

What lives here: the wire's shape of settings, and the checking of what comes in. What must not: which of them are
replaced or kept; that is the model's.
"""

import types
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import attrs
from quart import Blueprint, Response

from actors.domain.masks import MASK
from actors.settings import tool_servers
from actors.settings.errors import HiddenValueUnknown
from actors.settings.keeper import Keeper
from actors.settings.model import KEYS, Settings
from transport.http.bodies import Invalid, Problem, answer, json_body, number, wrong_type
from transport.http.tool_servers import problems_of_tool_servers

__all__ = ["blueprint"]

CONDENSER_SIZE_MIN = 20


def _kind(hint: Any) -> type:
    """The type of a field that may be null."""
    found: type = get_args(hint)[0] if isinstance(hint, types.UnionType) else hint
    return getattr(found, "__origin__", found)


KINDS: dict[str, type] = {name: _kind(hint) for name, hint in get_type_hints(Settings).items()}


def blueprint(keeper: Keeper) -> Blueprint:
    """The routes of this resource."""
    routes = Blueprint("settings", __name__)

    @routes.get("/api/settings")
    async def look() -> Response:
        if keeper.settings is None:
            return answer({"error": "Settings not found"}, 404)
        return answer(_render(keeper, keeper.settings))

    @routes.post("/api/settings")
    async def store() -> Response:
        await keeper.store_settings(_given(await json_body(confidential=True)))
        return answer({"message": "Settings stored"})

    @routes.post("/api/reset-settings")
    async def reset() -> Response:
        return answer({"error": "Settings are replaced by POST /api/settings, and not reset"}, 410)

    @routes.errorhandler(HiddenValueUnknown)
    async def unknown(failure: HiddenValueUnknown) -> Response:
        told = "This mask stands for nothing that is stored; send the value"
        problem = Problem("masked_value", ("body", "mcp_config", *failure.place), told, MASK)
        return answer({"detail": [problem.body()]}, 422)

    return routes


def _render(keeper: Keeper, settings: Settings) -> dict[str, Any]:
    """Settings as the wire has them, in its order."""
    body: dict[str, Any] = {}
    for name in KINDS:
        body[name] = None if name in KEYS else getattr(settings, name)
        if name == "remote_runtime_resource_factor":
            body["secrets_store"] = {"provider_tokens": {}}
    if settings.mcp_config is not None:
        body["mcp_config"] = tool_servers.conceal(settings.mcp_config)
    return body | {
        "provider_tokens_set": {provider: token.host for provider, token in keeper.secrets.provider_tokens.items()},
        "llm_api_key_set": settings.llm_api_key is not None,
        "search_api_key_set": settings.search_api_key is not None,
    }


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields that are not null, each of its type. Raises `Invalid`."""
    given: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, kind in KINDS.items():
        value = body.get(name)
        if value is None:
            continue
        try:
            given[name] = number(kind, value, "body", name) if kind in (int, float) else _of_kind(kind, value, name)
        except Invalid as invalid:
            problems += invalid.problems
    size = given.get("condenser_max_size")
    if size is not None and size < CONDENSER_SIZE_MIN:
        expected = f"Input should be {CONDENSER_SIZE_MIN} or more"
        place = ("body", "condenser_max_size")
        problems.append(Problem("greater_than_equal", place, expected, size, {"ge": CONDENSER_SIZE_MIN}))
    problems += problems_of_tool_servers(given.get("mcp_config", {}))
    if problems:
        raise Invalid(*problems)
    return given


def _of_kind(kind: type, value: Any, name: str) -> Any:
    if type(value) is not kind:
        problem = wrong_type(kind, value, "body", name)
        is_confidential = attrs.fields_dict(Settings)[name].repr is False
        raise Invalid(attrs.evolve(problem, input=None) if is_confidential else problem)
    return value
