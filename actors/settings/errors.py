"""What may not be done with settings and secrets; each leaves everything as it was."""

__all__ = ["HiddenValueUnknown", "SecretExists", "SecretNotFound", "SettingsError", "TooManySecrets"]


class SettingsError(Exception):
    """Base of what settings and secrets raise on purpose."""


class SecretExists(SettingsError):
    """There is a secret with this name already."""


class SecretNotFound(SettingsError):
    """No secret has this name."""


class TooManySecrets(SettingsError):
    """No more secrets are taken in."""


class HiddenValueUnknown(SettingsError):
    """A mask was sent back where nothing is stored that it could stand for; `place` says where."""

    def __init__(self, place: tuple[str | int, ...]) -> None:
        super().__init__(".".join(map(str, place)))
        self.place = place
