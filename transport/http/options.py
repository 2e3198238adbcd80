"""`/api/options/…` (contract §1.3): what there is to choose from.

What lives here: lists for a client's menus. What must not: a name that nothing here answers to, or somebody else's
key for analytics; clients bootstrap with what they find.
"""

import attrs
from quart import Blueprint, Response

from actors.settings.keeper import Keeper
from transport.http.bodies import answer

__all__ = ["Offer", "blueprint"]


@attrs.frozen
class Offer:
    """What this server has."""

    models: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    security_analyzers: tuple[str, ...] = ()


def blueprint(offer: Offer, keeper: Keeper) -> Blueprint:
    """The routes of this resource."""
    routes = Blueprint("options", __name__)

    @routes.get("/api/options/models")
    async def models() -> Response:
        """The one that is set as well, since a menu that lacks it would unset it."""
        chosen = keeper.settings.llm_model if keeper.settings is not None else None
        return answer(sorted({*offer.models, *([chosen] if chosen else [])}))

    @routes.get("/api/options/agents")
    async def agents() -> Response:
        return answer(sorted(offer.agents))

    @routes.get("/api/options/security-analyzers")
    async def security_analyzers() -> Response:
        return answer(sorted(offer.security_analyzers))

    @routes.get("/api/options/config")
    async def config() -> Response:
        return answer(
            {
                "APP_MODE": "oss",
                "GITHUB_CLIENT_ID": "",
                "POSTHOG_CLIENT_KEY": "",
                "FEATURE_FLAGS": {"ENABLE_BILLING": False, "HIDE_LLM_SETTINGS": False},
            }
        )

    return routes
