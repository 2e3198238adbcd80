"""Configuration: flags over environment over TOML over defaults, validated once. Names are contract §6's.

What lives here: one table of settings, and `load`, which is pure and reads nothing itself, so that every source can be
tested; `read_toml` reads the file for it.
What must not: a setting that nothing obeys, since whoever sets it would believe that it holds.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from transport.addresses import is_http_address, path_prefix
from transport.engineio.options import Options
from transport.origins import is_loopback
from transport.proxies import Network, networks

__all__ = ["Config", "ConfigError", "load", "read_toml"]


WIRE = Options()
"""Where the wire's limits have their defaults, and the reasons for them."""


class ConfigError(Exception):
    """A value that cannot be used; the text names it, its source and what is wanted."""


@attrs.frozen
class Config:
    """`data` is V0's file_store_path; `file` is the TOML file that was read, if any."""

    host: str = "127.0.0.1"
    port: int = 3000
    path_prefix: str = ""
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
    security_analyzer: str = "none"
    on_unknown_risk: str = ""
    on_low_risk: str = ""
    on_medium_risk: str = ""
    on_high_risk: str = ""
    permitted_cors_origins: tuple[str, ...] = ()
    permitted_hosts: tuple[str, ...] = ()
    serve_frontend: bool = True
    vscode_url: str = ""
    web_hosts: tuple[str, ...] = ()
    session_api_key: str | None = attrs.field(default=None, repr=False)
    insecure: bool = False
    rate_limit_per_second: float = 100.0
    rate_burst: int = 300
    trusted_proxies: tuple[Network, ...] = ()
    connections_max: int = WIRE.connections_max
    connections_per_address: int = WIRE.connections_per_address
    handshakes_max: int = WIRE.handshakes_max
    buffered_bytes_max: int = WIRE.buffered_bytes_max
    head_timeout_seconds: float = WIRE.head_timeout_seconds
    body_timeout_seconds: float = WIRE.body_timeout_seconds
    write_timeout_seconds: float = WIRE.write_timeout_seconds
    log_level: str = "info"
    log_json: bool = False
    jwt_secret: str = attrs.field(default="", repr=False)
    jwt_secrets_old: tuple[str, ...] = attrs.field(default=(), repr=False)
    file: Path | None = None


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


def _rate(text: str) -> float:
    """0 is no limit."""
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not 0 <= rate < float("inf"):
        raise ValueError("must be a number of requests a second, or 0 for no limit")
    return rate


def _key(text: str) -> str:
    # What else there is does not arrive in a header as it was sent.
    if not all("!" <= sign <= "~" for sign in text):
        raise ValueError("must be ASCII letters, digits and signs, without spaces")
    return text


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
    if not is_http_address(text.replace("{conversation_id}", "id")) or set(text.replace("{conversation_id}", "")) & set(
        "{} "
    ):
        raise ValueError("must be an http address, in which {conversation_id} may stand")
    return text


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(_address(part.strip()) for part in text.split(",") if part.strip())


def _secrets(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@attrs.frozen
class _Setting:
    field: str
    parse: Callable[[str], Any]
    environment: tuple[str, ...]
    toml: tuple[str, str] | None = None
    is_secret: bool = False


_RULING = _choice("allow", "confirm", "deny")

_SETTINGS = (
    _Setting("host", str, ("HOST_ADDRESS",), ("core", "host")),
    _Setting("port", _port, ("port", "PORT"), ("core", "port")),
    _Setting("path_prefix", path_prefix, ("GREENROOM_PATH_PREFIX",), ("core", "path_prefix")),
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
    _Setting(
        "security_analyzer",
        _choice("none", "rules"),
        ("SECURITY_SECURITY_ANALYZER",),
        ("security", "security_analyzer"),
    ),
    *(
        _Setting(f"on_{risk}_risk", _RULING, (f"GREENROOM_ON_{risk.upper()}_RISK",), ("security", f"on_{risk}_risk"))
        for risk in ("unknown", "low", "medium", "high")
    ),
    _Setting("permitted_cors_origins", _list, ("PERMITTED_CORS_ORIGINS",)),
    _Setting("permitted_hosts", _list, ("GREENROOM_PERMITTED_HOSTS",), ("core", "permitted_hosts")),
    _Setting("vscode_url", _address, ("GREENROOM_VSCODE_URL",), ("sandbox", "vscode_url")),
    _Setting("web_hosts", _addresses, ("GREENROOM_WEB_HOSTS",), ("sandbox", "web_hosts")),
    _Setting("serve_frontend", _flag, ("SERVE_FRONTEND",)),
    _Setting("session_api_key", _key, ("SESSION_API_KEY",), is_secret=True),
    _Setting("insecure", _flag, ("GREENROOM_INSECURE",)),
    _Setting("rate_limit_per_second", _rate, ("GREENROOM_RATE_LIMIT",), ("core", "rate_limit")),
    _Setting("rate_burst", _count, ("GREENROOM_RATE_BURST",), ("core", "rate_burst")),
    _Setting("trusted_proxies", networks, ("GREENROOM_TRUSTED_PROXIES",), ("core", "trusted_proxies")),
    *(
        _Setting(f"{name}{unit}", parse, (f"GREENROOM_{name.upper()}",), ("wire", name))
        for name, unit, parse in (
            ("connections_max", "", _count),
            ("connections_per_address", "", _count),
            ("handshakes_max", "", _count),
            ("buffered_bytes_max", "", _count),
            ("head_timeout", "_seconds", _positive),
            ("body_timeout", "_seconds", _positive),
            ("write_timeout", "_seconds", _positive),
        )
    ),
    _Setting("jwt_secret", str, ("JWT_SECRET",), ("core", "jwt_secret"), is_secret=True),
    _Setting("jwt_secrets_old", _secrets, ("GREENROOM_JWT_SECRETS_OLD",), ("core", "jwt_secrets_old"), is_secret=True),
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
    sources: dict[str, str] = {}
    for setting in _SETTINGS:
        found = _find(setting, flags, environment, toml, path)
        if found is not None:
            text, source = found
            sources[setting.field] = source
            try:
                values[setting.field] = setting.parse(text)
            except ValueError as failure:
                shown = "the value" if setting.is_secret else repr(text)
                raise ConfigError(f"{source}: {shown} {failure}") from failure
    config = Config(**values)
    _check_door(config, sources.get("host", ""))
    _refuse_unheeded(config, sources)
    return attrs.evolve(config, data=_at_home(config.data, sources.get("data", "default of --data")))


def _at_home(data: Path, source: str) -> Path:
    try:
        return data.expanduser()
    except RuntimeError:
        raise ConfigError(f"{source}: {str(data)!r} lies in a home folder that is not known") from None


def read_toml(path: str | None) -> Mapping[str, Any]:
    """The parsed file; empty without one. Raises `ConfigError`."""
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ConfigError(f"file {path} is not TOML: {failure}") from failure
    except OSError as failure:
        raise ConfigError(f"flag --config: {path!r} cannot be read: {failure.strerror}") from failure


def _check_door(config: Config, source: str) -> None:
    if config.session_api_key is None and not config.insecure and not is_loopback(config.host):
        raise ConfigError(
            f"{source}: {config.host!r} lets others reach this server: set SESSION_API_KEY to the key that they "
            "shall show, or say --insecure to let everybody in"
        )


def _refuse_unheeded(config: Config, sources: Mapping[str, str]) -> None:
    """Without an analyzer every risk is unknown."""
    for name in ("on_low_risk", "on_medium_risk", "on_high_risk"):
        ruling = getattr(config, name)
        if ruling and config.security_analyzer == "none":
            raise ConfigError(f"{sources[name]}: {ruling!r} needs a security_analyzer, and there is none")


def _find(
    setting: _Setting,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    toml: Mapping[str, Any],
    path: str,
) -> tuple[str, str] | None:
    if flags.get(setting.field):
        return str(flags[setting.field]), f"flag --{setting.field.replace('_', '-')}"
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
