"""Configuration: flags over environment over TOML over defaults, validated once. Pure; names are contract §6's.

What lives here: one table of settings, and `load`, which reads nothing itself, so that every source can be tested.
What must not: a setting that nothing obeys, since whoever sets it would believe that it holds.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

__all__ = ["Config", "ConfigError", "load"]


class ConfigError(Exception):
    """A value that cannot be used; the text names it, its source and what is wanted."""


@attrs.frozen
class Config:
    """`data` is V0's file_store_path."""

    host: str = "127.0.0.1"
    port: int = 3000
    data: Path = Path("~/.greenroom")
    file_store: str = "local"
    durability: str = "sync"
    sandbox: str = "auto"
    sandbox_timeout_seconds: float = 120.0
    start_deadline_seconds: float = 60.0
    close_delay_seconds: float = 3600.0
    hibernate_after_seconds: float = 300.0
    close_connected: bool = False
    max_concurrent_conversations: int = 1000
    busy_policy: str = "enqueue"
    confirmation_mode: bool = False
    permitted_cors_origins: tuple[str, ...] = ()
    permitted_hosts: tuple[str, ...] = ()
    serve_frontend: bool = True
    vscode_url: str = ""
    web_hosts: tuple[str, ...] = ()
    log_level: str = "info"
    log_json: bool = False


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("must be a whole number")
    port = int(text)
    if not 0 <= port <= 65_535:
        raise ValueError("must lie between 0 and 65535")
    return port


def _positive(text: str) -> float:
    seconds = _delay(text)
    if seconds == 0:
        raise ValueError("must be a number of seconds above 0")
    return seconds


def _delay(text: str) -> float:
    """0 is never, to those who take it."""
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0 <= seconds < float("inf"):
        raise ValueError("must be a number of seconds above 0")
    return seconds


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError("must be a whole number above 0")
    return int(text)


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        lowered = text.lower()  # V0's own documents write LOG_LEVEL=INFO
        if lowered not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return lowered

    return parse


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "1", "false", "0"):
        raise ValueError("must be true or false")
    return lowered in ("true", "1")


def _list(text: str) -> tuple[str, ...]:
    """Origins and hosts; browsers send both in lower case, without a slash at the end."""
    return tuple(part.strip().rstrip("/").lower() for part in text.split(",") if part.strip())


def _address(text: str) -> str:
    """A page of a conversation's; `{conversation_id}` is the only thing that may be left open in it."""
    try:
        parts = urlsplit(text.replace("{conversation_id}", "id"))
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or set(text.replace("{conversation_id}", "")) & set("{} "):
        raise ValueError("must be an http address, in which {conversation_id} may stand")
    return text


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(_address(part.strip()) for part in text.split(",") if part.strip())


@attrs.frozen
class _Setting:
    field: str
    parse: Callable[[str], Any]
    environment: tuple[str, ...]
    toml: tuple[str, str] | None = None


_SETTINGS = (
    _Setting("host", str, ("HOST_ADDRESS",), ("core", "host")),
    _Setting("port", _port, ("port", "PORT"), ("core", "port")),
    _Setting("data", Path, ("FILE_STORE_PATH",), ("core", "file_store_path")),
    _Setting("file_store", _choice("local", "memory"), ("FILE_STORE",), ("core", "file_store")),
    _Setting("durability", _choice("sync", "async"), ("GREENROOM_DURABILITY",), ("core", "durability")),
    _Setting("sandbox", _choice("auto", "bubblewrap", "local"), ("GREENROOM_SANDBOX",), ("sandbox", "kind")),
    _Setting("sandbox_timeout_seconds", _positive, ("SANDBOX_TIMEOUT",), ("sandbox", "timeout")),
    _Setting("start_deadline_seconds", _positive, ("GREENROOM_START_DEADLINE",), ("sandbox", "start_deadline")),
    _Setting("close_delay_seconds", _delay, ("SANDBOX_CLOSE_DELAY",), ("sandbox", "close_delay")),
    _Setting("hibernate_after_seconds", _delay, ("GREENROOM_HIBERNATE_AFTER",), ("core", "hibernate_after")),
    _Setting("close_connected", _flag, ("GREENROOM_CLOSE_CONNECTED",), ("core", "close_connected")),
    _Setting(
        "max_concurrent_conversations",
        _count,
        ("MAX_CONCURRENT_CONVERSATIONS",),
        ("core", "max_concurrent_conversations"),
    ),
    _Setting(
        "busy_policy", _choice("enqueue", "reject", "interrupt"), ("GREENROOM_BUSY_POLICY",), ("core", "busy_policy")
    ),
    _Setting("confirmation_mode", _flag, ("SECURITY_CONFIRMATION_MODE",), ("security", "confirmation_mode")),
    _Setting("permitted_cors_origins", _list, ("PERMITTED_CORS_ORIGINS",)),
    _Setting("permitted_hosts", _list, ("GREENROOM_PERMITTED_HOSTS",), ("core", "permitted_hosts")),
    _Setting("vscode_url", _address, ("GREENROOM_VSCODE_URL",), ("sandbox", "vscode_url")),
    _Setting("web_hosts", _addresses, ("GREENROOM_WEB_HOSTS",), ("sandbox", "web_hosts")),
    _Setting("serve_frontend", _flag, ("SERVE_FRONTEND",)),
    _Setting("log_level", _choice("debug", "info", "warning", "error"), ("LOG_LEVEL",)),
    _Setting("log_json", _flag, ("LOG_JSON",)),
)

_BEYOND_TEXT = (dict, list)


def load(flags: Mapping[str, str | None], environment: Mapping[str, str], toml: Mapping[str, Any], path: str) -> Config:
    """The configuration; `toml` is the parsed file `path`. Empty values count as absent. Raises `ConfigError`.

    `flags` are named as the fields of `Config`. A name that is no setting is left alone: the environment and V0's
    files hold much that is meant for others.
    """
    values: dict[str, Any] = {}
    for setting in _SETTINGS:
        found = _find(setting, flags, environment, toml, path)
        if found is not None:
            text, source = found
            try:
                values[setting.field] = setting.parse(text)
            except ValueError as failure:
                raise ConfigError(f"{source}: {text!r} {failure}") from failure
    config = Config(**values)
    return attrs.evolve(config, data=config.data.expanduser())


def _find(
    setting: _Setting,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    toml: Mapping[str, Any],
    path: str,
) -> tuple[str, str] | None:
    if flags.get(setting.field):
        return str(flags[setting.field]), f"flag --{setting.field}"
    for name in setting.environment:
        if environment.get(name):
            return environment[name], f"environment {name}"
    return _find_in_file(*setting.toml, toml, path) if setting.toml is not None else None


def _find_in_file(section: str, name: str, toml: Mapping[str, Any], path: str) -> tuple[str, str] | None:
    table = toml.get(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"file {path}: [{section}] must be a table")
    value = table.get(name)
    source = f"file {path} [{section}] {name}"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = ",".join(value)
    if isinstance(value, _BEYOND_TEXT):
        raise ConfigError(f"{source}: must be a single value or a list of texts")
    return None if value in (None, "") else (str(value), source)
