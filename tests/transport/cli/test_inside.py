"""`greenroom ps` and `greenroom explain` as processes, beside a server process."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.e2e.server import ServerProcess
from tests.transport.cli.command import run

pytestmark = pytest.mark.wallclock

KEY = "k3y-of-this-server"
PATH = os.environ["PATH"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {"SESSION_API_KEY": KEY})
    process.start()
    yield process
    process.kill()


def asked(server: ServerProcess, *arguments: str, key: str = KEY) -> CompletedProcess[str]:
    return run(*arguments, "--url", server.url, SESSION_API_KEY=key, PATH=PATH)


def until(server: ServerProcess, conversation_id: str, holds: Callable[[str], bool]) -> str:
    """What is explained once it holds."""
    deadline = time.monotonic() + 15
    while not holds(said := asked(server, "explain", conversation_id).stdout):
        assert time.monotonic() < deadline, said
    return said


def test_who_is_there_and_what_each_is_at(server: ServerProcess) -> None:
    busy, idle, cold = server.create("$ sleep 60"), server.create(), server.create()
    server.request("POST", f"/api/conversations/{cold}/stop", {})
    server.wait_until(busy, lambda event: event.get("action") == "run")
    until(server, idle, lambda said: "hot" in said and "awaiting_user_input" in said)
    done = asked(server, "ps")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows, blank, total = done.stdout.splitlines()
    assert head.split()[:4] == ["ID", "STATUS", "WHERE", "AGENT"]
    assert blank == ""
    assert total == ("2 conversations. Places for run-times: 2 of 1,000 taken, 1 by who is busy.")
    found = {line.split()[0]: line for line in rows}
    assert found.keys() == {busy, idle}
    assert found[busy].split()[1:4] == ["RUNNING", "hot", "running"]
    assert "running " in found[busy]
    assert "command_timeout in " in found[busy]
    assert "hibernate in " in found[idle]


def test_as_json_it_is_the_servers_answer(server: ServerProcess) -> None:
    it = server.create()
    found = json.loads(asked(server, "ps", "--json", "--all").stdout)
    assert [actor["conversation_id"] for actor in found["actors"]] == [it]
    explained = json.loads(asked(server, "explain", it, "--json").stdout)
    assert explained["conversation"]["conversation_id"] == it
    assert explained["explanation"]["because"]


def test_of_many_a_screenful_is_shown_and_all_when_asked(server: ServerProcess) -> None:
    for _ in range(42):
        server.create()
    few, everybody = asked(server, "ps").stdout, asked(server, "ps", "--all").stdout
    assert "40 conversations; 2 more (--all)." in few
    assert "42 conversations." in everybody


def test_a_life_is_explained_in_sentences(server: ServerProcess) -> None:
    it = server.create("$ sleep 60")
    said = until(server, it, lambda said: "A command in its sandbox" in said)
    assert f"{it} “" in said
    assert "is RUNNING, hot, its agent running." in said
    assert "Its actor, incarnation 1 since " in said
    assert "The command is ended at " in said
    server.request("POST", f"/api/conversations/{it}/stop", {})
    said = until(server, it, lambda said: "is STOPPED, cold" in said)
    assert "Nobody: it has no actor, no run-time and no client." in said
    assert "The next message, start or client brings it back." in said
    server.request("POST", f"/api/conversations/{it}/archive", {})
    said = until(server, it, lambda said: "is ARCHIVED" in said)
    assert f"`POST /api/conversations/{it}/unarchive` takes it out again." in said


def test_k16_a_damaged_one_is_explained_with_what_can_be_done(server: ServerProcess) -> None:
    it = server.create("/note one")
    for number in range(3):
        server.request("POST", f"/api/conversations/{it}/message", {"message": f"/note {number}"})
    server.stop()
    log = server.data / "conversations" / it / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b"/note 1", b"/n0te 1"))
    server.start()
    server.request("GET", f"/api/conversations/{it}/events?limit=100")
    said = asked(server, "explain", it).stdout
    assert "is ERROR, failed" in said
    assert "Its log is damaged in the middle" in said
    assert f"`greenroom repair {it} --url {server.url}` shows what would be lost, and asks." in said


@pytest.mark.parametrize("arguments", [("ps",), ("explain", "x")])
def test_whoever_is_not_let_in_or_finds_nobody_is_told_in_one_line(
    server: ServerProcess, arguments: tuple[str, ...]
) -> None:
    for key in ("wr0ng-key", ""):
        done = asked(server, *arguments, key=key)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "greenroom: the server wants another key (SESSION_API_KEY or --key)\n"
    shown = run(*arguments, "--url", server.url, "--key", KEY, PATH=PATH)
    assert shown.returncode == (0 if arguments == ("ps",) else 1)
    done = run(*arguments, "--url", "http://127.0.0.1:9", PATH=PATH)
    assert (done.returncode, done.stderr) == (1, "greenroom: no answer from http://127.0.0.1:9: Connection refused\n")
    done = run(*arguments, "--url", "nowhere", PATH=PATH)
    assert done.returncode == 1
    assert done.stderr.startswith("greenroom: nowhere is not the address of a server")


@pytest.mark.parametrize("unknown", ["x", "0" * 32, "ü b"])
def test_an_unknown_conversation_is_one_line_and_status_1(server: ServerProcess, unknown: str) -> None:
    done = asked(server, "explain", unknown)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"greenroom: there is no conversation {unknown}\n"
