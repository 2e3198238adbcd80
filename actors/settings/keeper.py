"""The keeper of settings and secrets: what is in memory is what is on disk, secrets sealed.

What lives here: reading both documents once, replacing them durably before anything is adopted, and the masks that
follow from them. What must not: HTTP, or what a setting is good for.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import attrs
import cattrs
import trio

from actors.domain.masks import Masks, masks_of
from actors.settings.errors import SecretExists, SecretNotFound, TooManySecrets
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
from storage.documents import path_of
from storage.errors import DamagedDocument
from storage.secrets import Kept, Safe

__all__ = ["CUSTOM_SECRETS_MAX", "Keeper", "open_keeper"]

T = TypeVar("T")

CUSTOM_SECRETS_MAX = 200
"""Each is looked for in every event, and all are written at once."""

SETTINGS, SECRETS = "settings", "secrets"

_SEALED = (*KEYS, "llm_base_url", "mcp_config")


def _strict(cls: type) -> Any:
    def check(value: Any, _: type) -> Any:
        if type(value) is not cls:
            raise ValueError(f"expected {cls.__name__}, got {type(value).__name__}")
        return value

    return check


_converter = cattrs.Converter(detailed_validation=False)
for _primitive in (str, int, bool):
    _converter.register_structure_hook(_primitive, _strict(_primitive))


class Keeper:
    """Made by `open_keeper`. What changes something is durable when it returns; it raises `StorageDegraded` or
    `OutcomeUnknown` when it is not, and then nothing is adopted."""

    def __init__(self, safe: Safe, settings: Settings | None, secrets: Secrets, also_masked: Iterable[str]) -> None:
        self._safe = safe
        self._lock = trio.Lock()
        self._also_masked = (*safe.secrets, *also_masked)
        self._settings = settings
        self._secrets = secrets
        self._masks = self._make_masks()

    @property
    def settings(self) -> Settings | None:
        """None as long as nobody has stored any."""
        return self._settings

    @property
    def secrets(self) -> Secrets:
        return self._secrets

    def masks(self) -> Masks:
        """What must not get into an event, as of now."""
        return self._masks

    async def store_settings(self, given: dict[str, Any]) -> Settings:
        """Replace the settings (see `model.replaced`). Raises `HiddenValueUnknown`."""
        async with self._lock:
            settings = replaced(self._settings, given)
            await self._safe.write(SETTINGS, _split(settings))
            self._settings = settings
            self._masks = self._make_masks()
        return settings

    async def add_secret(self, name: str, secret: CustomSecret) -> None:
        """Raises `SecretExists`, `TooManySecrets`."""
        async with self._lock:
            known = self._secrets.custom_secrets
            if name in known:
                raise SecretExists(name)
            if len(known) >= CUSTOM_SECRETS_MAX:
                raise TooManySecrets(name)
            await self._store_custom({**known, name: secret})

    async def rename_secret(self, name: str, new_name: str, description: str | None) -> None:
        """Give a secret another name, or description; its value stays. Raises `SecretNotFound`, `SecretExists`."""
        async with self._lock:
            known = self._secrets.custom_secrets
            if name not in known:
                raise SecretNotFound(name)
            if new_name != name and new_name in known:
                raise SecretExists(new_name)
            old = known[name]
            changed = attrs.evolve(old, description=old.description if description is None else description)
            renamed = {new_name if each == name else each: secret for each, secret in known.items()}
            await self._store_custom(renamed | {new_name: changed})

    async def remove_secret(self, name: str) -> None:
        """Raises `SecretNotFound`."""
        async with self._lock:
            known = self._secrets.custom_secrets
            if name not in known:
                raise SecretNotFound(name)
            await self._store_custom({each: secret for each, secret in known.items() if each != name})

    async def replace_tokens(self, given: dict[str, ProviderToken]) -> None:
        """Have these provider tokens and no others (see `model.tokens_replaced`)."""
        async with self._lock:
            tokens = tokens_replaced(self._secrets.provider_tokens, given)
            await self._store(attrs.evolve(self._secrets, provider_tokens=tokens))

    async def _store_custom(self, custom_secrets: dict[str, CustomSecret]) -> None:
        await self._store(attrs.evolve(self._secrets, custom_secrets=custom_secrets))

    async def _store(self, secrets: Secrets) -> None:
        await self._safe.write(SECRETS, Kept({}, _converter.unstructure(secrets)))
        self._secrets = secrets
        self._masks = self._make_masks()

    def _make_masks(self) -> Masks:
        return masks_of((*self._also_masked, *secrets_of(self._settings, self._secrets)))

    def statistics(self) -> dict[str, int]:
        """How many secrets there are, and how many texts are hidden for them and for the server's own."""
        secrets = self._secrets
        return {
            "custom_secrets": len(secrets.custom_secrets),
            "provider_tokens": len(secrets.provider_tokens),
            "masked_texts": len(self._masks.texts),
        }

    def __repr__(self) -> str:
        return f"<Keeper {self._safe!r} {len(self._secrets.custom_secrets)} custom secrets>"


def _split(settings: Settings) -> Kept:
    fields: dict[str, Any] = _converter.unstructure(settings)
    return Kept(fields, {name: fields.pop(name) for name in _SEALED})


async def open_keeper(safe: Safe, also_masked: Iterable[str] = ()) -> Keeper:
    """The keeper of what is in the safe; `also_masked` are further secrets that no event may show.

    Raises `SecretUnreadable`, `DamagedDocument`, `UnknownFormat`, `OSError`.
    """
    settings = await _read(safe, SETTINGS, Settings)
    secrets = await _read(safe, SECRETS, Secrets)
    return Keeper(safe, settings, secrets or Secrets(), also_masked)


async def _read(safe: Safe, name: str, cls: type[T]) -> T | None:
    kept = await safe.read(name)
    if kept is None:
        return None
    try:
        return _converter.structure({**kept.plain, **kept.hidden}, cls)
    except (cattrs.BaseValidationError, KeyError, TypeError, ValueError) as failure:
        # What is hidden came out whole, so somebody has edited the plain part; it may be quoted.
        raise DamagedDocument(f"{path_of(name)} does not hold {name}: {failure}") from failure
