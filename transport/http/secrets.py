"""`/api/secrets` and the tokens of git providers (contract §1.3): values go in and never come out.

What lives here: these routes, their bodies and limits. What must not: a value in an answer, be it that of a request
that cannot be understood.
"""

from collections.abc import Mapping
from typing import Any

from quart import Blueprint, Response

from actors.domain.masks import is_maskable
from actors.settings.errors import SecretExists, SecretNotFound, TooManySecrets
from actors.settings.keeper import CUSTOM_SECRETS_MAX, Keeper
from actors.settings.model import CustomSecret, ProviderToken
from transport.http.bodies import Invalid, Problem, answer, json_body, keep_confidential, one_of, wrong_type
from transport.http.conversations import GIT_PROVIDERS

__all__ = ["blueprint"]

NAME_CHARACTERS_MAX = 128
VALUE_CHARACTERS_MAX = 32 * 1024
"""The longest private keys and certificates are a quarter of this."""

DESCRIPTION_CHARACTERS_MAX = 1024

TOO_PLAIN = "It is too short or too plain to be hidden where it is shown"


def blueprint(keeper: Keeper) -> Blueprint:  # noqa: C901 - a list of routes
    """The routes of these resources."""
    routes = Blueprint("secrets", __name__)
    keep_confidential(routes)

    @routes.get("/api/secrets")
    async def listing() -> Response:
        known = keeper.secrets.custom_secrets
        return answer(
            {"custom_secrets": [{"name": name, "description": known[name].description} for name in sorted(known)]}
        )

    @routes.post("/api/secrets")
    async def create() -> Response:
        body = await json_body()
        name, value = _name(body), _text(body, "value", VALUE_CHARACTERS_MAX, required=True)
        description = _text(body, "description", DESCRIPTION_CHARACTERS_MAX)
        await keeper.add_secret(name, CustomSecret(value or "", description or ""))
        told = "The secret is stored" if is_maskable(value or "") else f"The secret is stored. {TOO_PLAIN}"
        return answer({"message": told}, 201)

    @routes.put("/api/secrets/<name>")
    async def change(name: str) -> Response:
        body = await json_body()
        if "value" in body:
            told = "A value is not changed: delete the secret and create it anew"
            raise Invalid(Problem("extra_forbidden", ("body", "value"), told))
        description = _text(body, "description", DESCRIPTION_CHARACTERS_MAX)
        await keeper.rename_secret(name, _name(body), description)
        return answer({"message": "The secret is changed"})

    @routes.delete("/api/secrets/<name>")
    async def delete(name: str) -> Response:
        await keeper.remove_secret(name)
        return answer({"message": "The secret is deleted"})

    @routes.post("/api/add-git-providers")
    async def replace_tokens() -> Response:
        body = await json_body()
        if body.get("mcp_config") is not None:
            raise Invalid(Problem("unsupported", ("body", "mcp_config"), "It is stored by POST /api/settings"))
        await keeper.replace_tokens(_tokens(body))
        return answer({"message": "The provider tokens are stored"})

    @routes.post("/api/unset-provider-tokens")
    async def unset_tokens() -> Response:
        await keeper.replace_tokens({})
        return answer({"message": "The provider tokens are removed"})

    @routes.errorhandler(SecretNotFound)
    async def unknown(failure: SecretNotFound) -> Response:
        return answer({"error": f"There is no secret {failure}"}, 404)

    @routes.errorhandler(SecretExists)
    async def taken(failure: SecretExists) -> Response:
        return answer({"message": f"Secret {failure} already exists"}, 400)

    @routes.errorhandler(TooManySecrets)
    async def full(_: TooManySecrets) -> Response:
        return answer({"message": f"There are {CUSTOM_SECRETS_MAX} secrets, and no more are taken in"}, 400)

    return routes


def _name(body: Mapping[str, Any]) -> str:
    """A name that can stand in a path. Raises `Invalid`."""
    name = _text(body, "name", NAME_CHARACTERS_MAX, required=True) or ""
    if not name.strip() or not name.isprintable() or "/" in name or name in (".", ".."):
        told = "Input should be a name of printable characters without a slash"
        raise Invalid(Problem("string_pattern_mismatch", ("body", "name"), told, name))
    return name


def _text(
    body: Mapping[str, Any],
    name: str,
    characters_max: int,
    *loc: str,
    required: bool = False,
) -> str | None:
    """A field of text; None where it is absent or null. Raises `Invalid`."""
    value, place = body.get(name), ("body", *loc, name)
    if value is None:
        if required:
            raise Invalid(Problem("missing", place, "Field required"))
        return None
    if not isinstance(value, str):
        raise Invalid(wrong_type(str, value, *place))
    if len(value) > characters_max:
        told = f"Input should have at most {characters_max} characters"
        raise Invalid(Problem("string_too_long", place, told, value, {"max_length": characters_max}))
    return value


def _tokens(body: Mapping[str, Any]) -> dict[str, ProviderToken]:
    """Raises `Invalid`."""
    given = body.get("provider_tokens")
    if given is None:
        raise Invalid(Problem("missing", ("body", "provider_tokens"), "Field required"))
    if not isinstance(given, dict):
        raise Invalid(wrong_type(dict, given, "body", "provider_tokens"))
    return {provider: _token(provider, token) for provider, token in given.items()}


def _token(provider: str, token: Any) -> ProviderToken:
    one_of(GIT_PROVIDERS, provider, "body", "provider_tokens")
    loc = ("provider_tokens", provider)
    if not isinstance(token, dict):
        raise Invalid(wrong_type(dict, token, "body", *loc))
    value = _text(token, "token", VALUE_CHARACTERS_MAX, *loc)
    host = _text(token, "host", DESCRIPTION_CHARACTERS_MAX, *loc)
    user_id = _text(token, "user_id", DESCRIPTION_CHARACTERS_MAX, *loc)
    return ProviderToken((value or "").strip(), host, user_id)
