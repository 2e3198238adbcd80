"""Configuration: flags over environment over file over defaults; a bad value is named with its source."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.config import Config, ConfigError, load

FILE = "green.toml"


def test_nothing_said_is_the_defaults_with_a_real_folder() -> None:
    assert load({}, {}, {}, "") == attrs.evolve(Config(), data=Path("~/.greenroom").expanduser())


@pytest.mark.parametrize(
    ("flags", "environment", "toml", "port"),
    [
        ({"port": "1"}, {"port": "2"}, {"core": {"port": 3}}, 1),
        ({"port": None}, {"port": "2"}, {"core": {"port": 3}}, 2),
        ({"port": ""}, {"PORT": "2"}, {"core": {"port": 3}}, 2),
        ({}, {"port": "1", "PORT": "2"}, {}, 1),
        ({}, {"port": ""}, {"core": {"port": 3}}, 3),
        ({}, {}, {"core": {"port": ""}}, 3000),
        ({"port": "0"}, {"port": "2"}, {}, 0),
    ],
)
def test_the_nearer_source_wins_and_an_empty_value_is_none(
    flags: dict[str, str | None], environment: dict[str, str], toml: dict[str, Any], port: int
) -> None:
    assert load(flags, environment, toml, FILE).port == port


@pytest.mark.parametrize(
    ("environment", "field", "value"),
    [
        ({"GREENROOM_PATH_PREFIX": "/team/greenroom/"}, "path_prefix", "/team/greenroom"),
        ({"GREENROOM_PATH_PREFIX": "/"}, "path_prefix", ""),
        ({"FILE_STORE_PATH": "/data"}, "data", Path("/data")),
        ({"FILE_STORE": "memory"}, "file_store", "memory"),
        ({"SANDBOX_TIMEOUT": "7.5"}, "sandbox_timeout_seconds", 7.5),
        ({"GREENROOM_SANDBOX": "bubblewrap"}, "sandbox", "bubblewrap"),
        ({"GREENROOM_DURABILITY": "async"}, "durability", "async"),
        ({"SECURITY_SECURITY_ANALYZER": "rules"}, "security_analyzer", "rules"),
        ({"GREENROOM_ON_UNKNOWN_RISK": "deny"}, "on_unknown_risk", "deny"),
        ({"SECURITY_CONFIRMATION_MODE": "true"}, "confirmation_mode", True),
        ({"LOG_LEVEL": "INFO"}, "log_level", "info"),
        ({"GREENROOM_VSCODE_URL": "http://a:1/{conversation_id}"}, "vscode_url", "http://a:1/{conversation_id}"),
        ({"GREENROOM_WEB_HOSTS": "http://a, https://b:2,"}, "web_hosts", ("http://a", "https://b:2")),
        ({"SERVE_FRONTEND": "false"}, "serve_frontend", False),
        ({"LOG_JSON": "1"}, "log_json", True),
        ({"LOG_JSON": "False"}, "log_json", False),
        (
            {"PERMITTED_CORS_ORIGINS": "http://a.example/, ,HTTPS://b.example:8443"},
            "permitted_cors_origins",
            ("http://a.example", "https://b.example:8443"),
        ),
        ({"GREENROOM_PERMITTED_HOSTS": "Green.example"}, "permitted_hosts", ("green.example",)),
        ({"SESSION_API_KEY": "s3cr3t"}, "session_api_key", "s3cr3t"),
        ({"GREENROOM_INSECURE": "1"}, "insecure", True),
        ({"GREENROOM_RATE_LIMIT": "0"}, "rate_limit_per_second", 0.0),
        ({"GREENROOM_RATE_BURST": "500"}, "rate_burst", 500),
        (
            {"GREENROOM_TRUSTED_PROXIES": "10.0.0.1, fd00::/8"},
            "trusted_proxies",
            (ip_network("10.0.0.1"), ip_network("fd00::/8")),
        ),
        ({"GREENROOM_CONNECTIONS_MAX": "100"}, "connections_max", 100),
        ({"GREENROOM_CONNECTIONS_PER_ADDRESS": "10"}, "connections_per_address", 10),
        ({"GREENROOM_HANDSHAKES_MAX": "7"}, "handshakes_max", 7),
        ({"GREENROOM_BUFFERED_BYTES_MAX": "1000000"}, "buffered_bytes_max", 1_000_000),
        ({"GREENROOM_HEAD_TIMEOUT": "0.5"}, "head_timeout_seconds", 0.5),
        ({"GREENROOM_BODY_TIMEOUT": "5"}, "body_timeout_seconds", 5.0),
        ({"GREENROOM_WRITE_TIMEOUT": "3"}, "write_timeout_seconds", 3.0),
        ({"JWT_SECRET": "Given, As is"}, "jwt_secret", "Given, As is"),
        ({"GREENROOM_JWT_SECRETS_OLD": "One, Two ,"}, "jwt_secrets_old", ("One", "Two")),
    ],
)
def test_the_environment_by_v0s_names(environment: dict[str, str], field: str, value: object) -> None:
    assert getattr(load({}, environment, {}, ""), field) == value


def test_a_secret_is_in_no_repr() -> None:
    config = load({}, {"JWT_SECRET": "xyzzy1", "GREENROOM_JWT_SECRETS_OLD": "xyzzy2,xyzzy3"}, {}, "")
    assert "xyzzy" not in repr(config)


def test_the_file_by_v0s_sections() -> None:
    toml = {"core": {"file_store_path": "/data", "permitted_hosts": ["a", "b"]}, "sandbox": {"timeout": 5}}
    toml["security"] = {"security_analyzer": "rules", "confirmation_mode": True, "on_high_risk": "deny"}
    config = load({}, {}, toml, FILE)
    assert (config.security_analyzer, config.confirmation_mode, config.on_high_risk) == ("rules", True, "deny")
    assert (config.data, config.permitted_hosts, config.sandbox_timeout_seconds) == (Path("/data"), ("a", "b"), 5.0)


@pytest.mark.parametrize(
    ("flags", "environment", "toml", "says"),
    [
        ({"port": "http"}, {}, {}, "flag --port: 'http' must be a whole number"),
        ({"port": "-1"}, {}, {}, "flag --port: '-1' must be a whole number"),
        ({}, {"PORT": "65536"}, {}, "environment PORT: '65536' must lie between 0 and 65535"),
        ({}, {"SANDBOX_TIMEOUT": "soon"}, {}, "environment SANDBOX_TIMEOUT: 'soon' must be a number of seconds"),
        ({}, {"SANDBOX_TIMEOUT": "nan"}, {}, "environment SANDBOX_TIMEOUT: 'nan' must be"),
        ({}, {}, {"sandbox": {"timeout": 0}}, "file green.toml [sandbox] timeout: '0' must be"),
        ({}, {}, {"core": {"durability": "maybe"}}, "file green.toml [core] durability: 'maybe' must be one of sync"),
        ({}, {}, {"core": {"port": {"http": 1}}}, "file green.toml [core] port: must be a single value"),
        ({}, {}, {"core": {"permitted_hosts": [1]}}, "file green.toml [core] permitted_hosts: must be"),
        ({}, {}, {"core": 1}, "file green.toml: [core] must be a table"),
        (
            {},
            {"GREENROOM_VSCODE_URL": "file:///etc"},
            {},
            "environment GREENROOM_VSCODE_URL: 'file:///etc' must be an http",
        ),
        (
            {},
            {"GREENROOM_VSCODE_URL": "http://[a"},
            {},
            "environment GREENROOM_VSCODE_URL: 'http://[a' must be an http",
        ),
        ({}, {}, {"sandbox": {"web_hosts": ["http://{x}"]}}, "file green.toml [sandbox] web_hosts: 'http://{x}' must"),
        ({}, {"SECURITY_SECURITY_ANALYZER": "llm"}, {}, "environment SECURITY_SECURITY_ANALYZER: 'llm' must be one of"),
        ({}, {"GREENROOM_ON_HIGH_RISK": "deny"}, {}, "environment GREENROOM_ON_HIGH_RISK: 'deny' needs a security"),
        ({}, {"LOG_JSON": "perhaps"}, {}, "environment LOG_JSON: 'perhaps' must be true or false"),
        ({}, {"GREENROOM_RATE_LIMIT": "-1"}, {}, "environment GREENROOM_RATE_LIMIT: '-1' must be a number of requests"),
        ({}, {"GREENROOM_RATE_BURST": "0"}, {}, "environment GREENROOM_RATE_BURST: '0' must be"),
        ({}, {"GREENROOM_TRUSTED_PROXIES": "nginx"}, {}, "environment GREENROOM_TRUSTED_PROXIES: 'nginx' must be"),
        ({}, {"GREENROOM_HANDSHAKES_MAX": "0"}, {}, "environment GREENROOM_HANDSHAKES_MAX: '0' must be a whole number"),
        ({}, {}, {"wire": {"head_timeout": 0}}, "file green.toml [wire] head_timeout: '0' must be"),
        ({}, {"SESSION_API_KEY": "two words"}, {}, "environment SESSION_API_KEY: the value must be ASCII"),
        ({"path_prefix": "green"}, {}, {}, "flag --path-prefix: 'green' must be a path such as /greenroom"),
        (
            {},
            {"GREENROOM_PATH_PREFIX": "/api/v1"},
            {},
            "environment GREENROOM_PATH_PREFIX: '/api/v1' cannot be told from",
        ),
        ({"host": "0.0.0.0"}, {}, {}, "flag --host: '0.0.0.0' lets others reach this server: set"),  # noqa: S104
    ],
)
def test_a_bad_value_is_named_with_its_source_in_one_line(
    flags: dict[str, str | None], environment: dict[str, str], toml: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags, environment, toml, FILE)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_on_loopback_no_key_is_needed(host: str) -> None:
    assert load({"host": host}, {}, {}, "").session_api_key is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "green.example"])  # noqa: S104
def test_off_loopback_it_takes_a_key_or_a_word(host: str) -> None:
    with pytest.raises(ConfigError, match="SESSION_API_KEY"):
        load({"host": host}, {"SESSION_API_KEY": ""}, {}, "")
    assert load({"host": host}, {"SESSION_API_KEY": "k"}, {}, "").host == host
    assert load({"host": host, "insecure": "true"}, {}, {}, "").insecure
    assert load({"host": host}, {"GREENROOM_INSECURE": "1"}, {}, "").insecure


def test_neither_repr_nor_an_error_tells_the_key() -> None:
    assert "s3cr3t" not in repr(load({}, {"SESSION_API_KEY": "s3cr3t"}, {}, ""))
    with pytest.raises(ConfigError) as caught:
        load({}, {"SESSION_API_KEY": "s3cr3t word"}, {}, "")
    assert "s3cr3t" not in str(caught.value)


def test_what_is_meant_for_others_is_left_alone() -> None:
    environment = {"HOME": "/root", "SANDBOX_VOLUMES": "x"}
    toml = {"llm": {"model": "m"}, "core": {"runtime": "docker"}, "version": 1}
    assert load({}, environment, toml, FILE) == load({}, {}, {}, "")


NAMES = st.sampled_from(["host", "port", "file_store_path", "durability", "permitted_hosts", "timeout", "kind"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())


@given(st.dictionaries(st.sampled_from(["core", "sandbox"]), VALUES | st.dictionaries(NAMES, VALUES)))
def test_any_file_is_a_configuration_or_a_config_error(toml: dict[str, Any]) -> None:
    try:
        load({}, {}, toml, FILE)
    except ConfigError as failure:
        assert FILE in str(failure)  # noqa: PT017 - either end is right
