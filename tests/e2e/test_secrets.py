"""Secrets in the hands of a real server: on no disk and in no log in plain text, there again after kill -9."""

import urllib.error
from pathlib import Path
from typing import Any

import pytest

from actors.domain.masks import MASK
from tests.actors.sandbox.conftest import why_no_bubblewrap
from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock

LLM_KEY, TOKEN, CUSTOM, TOOL_KEY = "sk-4711-llm-key", "ghp-4711-token", "custom 4711 wörd", "tool-4711-key"
ALL = (LLM_KEY, TOKEN, CUSTOM, TOOL_KEY)


def store(server: ServerProcess) -> None:
    tools = {"sse_servers": [{"url": "http://tools", "api_key": TOOL_KEY}]}
    server.request("POST", "/api/settings", {"llm_model": "m", "llm_api_key": LLM_KEY, "mcp_config": tools})
    server.request("POST", "/api/secrets", {"name": "DB", "value": CUSTOM, "description": "the database"})
    server.request("POST", "/api/add-git-providers", {"provider_tokens": {"github": {"token": TOKEN, "host": None}}})


def shown(server: ServerProcess) -> tuple[Any, ...]:
    settings = server.request("GET", "/api/settings")
    secrets = server.request("GET", "/api/secrets")
    assert not any(secret in f"{settings} {secrets}" for secret in ALL)
    return settings["llm_api_key_set"], settings["provider_tokens_set"], secrets["custom_secrets"]


STORED = (True, {"github": None}, [{"name": "DB", "description": "the database"}])


def talk(server: ServerProcess) -> None:
    """A user says every secret, and a command prints each, put together from pieces."""
    spoken = server.create(f"say {' '.join(ALL)}")
    halves = " ".join(f"'{secret[:5]}' '{secret[5:]}'" for secret in ALL)
    printed = server.create(f"$ printf '%s%s\\n' {halves}; printf '%s%s' {halves} >&2")
    observation = server.wait_for(printed, "run")
    assert observation["content"].count(MASK) == 2 * len(ALL)
    server.wait_for(printed, "greenroom.run_ended")
    server.wait_for(spoken, "greenroom.run_ended")
    assert server.events(spoken)[1]["message"] == f"say {' '.join([MASK] * len(ALL))}"


def leaks(folder: Path) -> list[tuple[str, str]]:
    """(file, secret) for each secret that lies somewhere below in plain text or as JSON would write it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "events.jsonl" for path in files)
    assert any(path.name == "server.log" for path in files)
    return [
        (str(path), secret)
        for path in files
        for secret in ALL
        if secret.encode() in path.read_bytes() or ascii(secret)[1:-1].encode() in path.read_bytes()
    ]


def test_d41_a_secret_is_nowhere_in_plain_text_and_known_after_kill_9(server: ServerProcess) -> None:
    store(server)
    assert shown(server) == STORED
    talk(server)
    assert leaks(server.data.parent) == []
    server.kill()
    server.start()
    assert shown(server) == STORED
    talk(server)  # it is masked still: the values were read back, not only their names
    server.stop()
    assert leaks(server.data.parent) == []


def test_the_jwt_secret_is_changed_and_with_a_wrong_one_nothing_starts_and_nothing_is_lost(tmp_path: Path) -> None:
    def life(**environment: str) -> ServerProcess:
        server = ServerProcess(tmp_path / "data", environment)
        server.start()
        return server

    server = life()
    store(server)
    server.stop()
    server = life(JWT_SECRET="first-secret")  # noqa: S106 - the generated one opens what it sealed
    assert shown(server) == STORED
    server.stop()
    (tmp_path / "data/.jwt_secret").unlink()
    server = life(JWT_SECRET="other-secret", GREENROOM_JWT_SECRETS_OLD="unused,first-secret")  # noqa: S106
    assert shown(server) == STORED
    server.stop()
    before = {path: path.read_bytes() for path in (tmp_path / "data/documents").iterdir()}
    server = ServerProcess(tmp_path / "data", {"JWT_SECRET": "wrong-secret"})
    with pytest.raises(AssertionError, match=r"greenroom: documents/settings.json does not open"):
        server.start()
    assert server.stop() == 1
    log = (tmp_path / "server.log").read_text()
    assert "Traceback" not in log
    assert not any(secret in log for secret in ("first-secret", "other-secret", "wrong-secret"))
    assert before == {path: path.read_bytes() for path in (tmp_path / "data/documents").iterdir()}
    server = life(JWT_SECRET="other-secret")  # noqa: S106
    assert shown(server) == STORED
    server.stop()


def test_d30_a_server_without_a_disk_keeps_settings_and_secrets_while_it_lives(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"FILE_STORE": "memory"})
    server.start()
    store(server)
    assert shown(server) == STORED
    talk(server)
    server.stop()
    server.start()
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.request("GET", "/api/settings")
    assert caught.value.code == 404
    caught.value.close()
    server.stop()
    assert not (tmp_path / "data/documents").exists()


def test_no_command_reaches_the_key_or_finds_a_secret_in_its_environment(tmp_path: Path) -> None:
    if why_no_bubblewrap():
        pytest.skip(f"bubblewrap cannot run here: {why_no_bubblewrap()}")
    server = ServerProcess(tmp_path / "data")
    server.start()
    store(server)
    key = (tmp_path / "data/.jwt_secret").read_text().strip()
    encoded = f"$ env | base64 -w0; cat {tmp_path}/data/.jwt_secret | rev; cat /proc/*/environ | base64 -w0"
    observation = server.wait_for(server.create(encoded), "run")
    assert "No such file or directory" in observation["content"]
    assert key[::-1] not in observation["content"]
    found = server.wait_for(server.create("$ env; cat /proc/*/environ | tr '\\0' '\\n'"), "run")["content"]
    assert {line.partition("=")[0] for line in found.splitlines()} <= {
        "PATH", "HOME", "LANG", "TERM", "PWD", "SHLVL", "_", "OLDPWD",
    }  # fmt: skip
    server.stop()
