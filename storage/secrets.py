"""Documents with a part that only this server can read: Fernet at rest, under a key made of the JWT secret.

What lives here: the key, its rotation, and where the secret is kept when nobody configures one. What must not: a
secret in a `repr`, in an error or in a log, or a write over what cannot be read.

The key is the url-safe base64 of SHA-256(JWT secret). Whatever is sealed under an older secret is sealed anew when it
is read, so an old secret is needed for one start only.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from storage.disk import Disk
from storage.documents import Documents, path_of
from storage.errors import DamagedDocument, SecretUnreadable, StorageDegraded, StorageError
from storage.health import Health

__all__ = ["Kept", "Keyring", "Safe", "open_safe"]

SECRET_PATH = ".jwt_secret"  # noqa: S105 - its name, as in V0 (contract §4.7)
SECRET_BYTES = 32


def _key(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())


class Keyring:
    """Seals with the first secret, opens with any of them."""

    def __init__(self, secret: str, *older: str) -> None:
        self.secrets = tuple(dict.fromkeys((secret, *older)))
        fernets = [Fernet(_key(secret)) for secret in self.secrets]
        self._newest, self._any = fernets[0], MultiFernet(fernets)

    def seal(self, data: bytes) -> str:
        return self._newest.encrypt(data).decode()

    def unseal(self, token: str) -> bytes | None:
        """None when none of the secrets is the one that it was sealed with."""
        try:
            return self._any.decrypt(token)
        except InvalidToken:
            return None

    def is_current(self, token: str) -> bool:
        """Whether the first secret opens it."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return False
        return True

    def __repr__(self) -> str:
        return f"<Keyring of {len(self.secrets)}>"


@attrs.frozen
class Kept:
    """A document: what everybody may read in the file, and what is sealed there."""

    plain: Any
    hidden: Any = attrs.field(repr=False)


class Safe:
    """Made by `open_safe`."""

    def __init__(self, documents: Documents, keyring: Keyring) -> None:
        self._documents = documents
        self._keyring = keyring

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the keys are made of, for whoever must keep it out of what is written."""
        return self._keyring.secrets

    async def read(self, name: str) -> Kept | None:
        """What was kept last, or None. Raises `SecretUnreadable`, `DamagedDocument`, `UnknownFormat`, `OSError`."""
        match await self._documents.read(name):
            case None:
                return None
            case {"plain": plain, "sealed": str(token)}:
                return await self._open(name, plain, token)
        raise DamagedDocument(f"{path_of(name)} is damaged: it has no sealed part")

    async def _open(self, name: str, plain: Any, token: str) -> Kept:
        data = self._keyring.unseal(token)
        if data is None:
            raise SecretUnreadable(
                f"{path_of(name)} does not open: it was sealed with another JWT secret, or is damaged. Start with the "
                "secret it was sealed with, as JWT_SECRET or among GREENROOM_JWT_SECRETS_OLD; nothing was changed"
            )
        kept = Kept(plain, orjson.loads(data))
        if not self._keyring.is_current(token):
            # A full disk must not keep the server from starting: the next start tries again.
            with suppress(StorageError):
                await self.write(name, kept)
        return kept

    async def write(self, name: str, kept: Kept) -> None:
        """Keep this instead, durably. Raises `StorageDegraded` (the old one stays), `OutcomeUnknown`."""
        sealed = self._keyring.seal(orjson.dumps(kept.hidden))
        await self._documents.write(name, {"plain": kept.plain, "sealed": sealed})

    def __repr__(self) -> str:
        return f"<Safe {self._documents!r} {self._keyring!r}>"


async def open_safe(disk: Disk, secret: str = "", older: Sequence[str] = (), *, health: Health | None = None) -> Safe:
    """The safe of a locked store. Without a secret one is generated, and kept beside the documents for its owner.

    A generated one stays good for opening, so that a secret can be configured later. Raises `DamagedDocument`,
    `StorageDegraded`, `OSError`.
    """
    generated = await disk.run(partial(_generated, disk, make=not secret))
    candidates = [given for given in (secret or generated, *older, generated) if given]
    return Safe(Documents(disk, health), Keyring(*candidates))


def _generated(disk: Disk, *, make: bool) -> str:
    """The secret that was generated for this disk; empty when there is none and none is to be made."""
    if disk.exists(SECRET_PATH):
        found = disk.read(SECRET_PATH, 0, disk.size(SECRET_PATH)).decode("ascii", "replace").strip()
        if not found:
            raise DamagedDocument(f"{SECRET_PATH} is empty: put the JWT secret back that was in it, or remove it")
        return found
    if not make:
        return ""
    made = secrets.token_hex(SECRET_BYTES)
    try:
        disk.replace(SECRET_PATH, f"{made}\n".encode())
    except OSError as failure:
        raise StorageDegraded(f"{SECRET_PATH} could not be written: {failure}") from failure
    return made
