"""`greenroom repair` as an operator meets it: what would be lost, a question, and nothing done unasked."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transport.cli.command import on_terminal, run, write_conversation
from tests.transport.cli.test_verify import flip, verify

pytestmark = pytest.mark.wallclock


def repair(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("repair", "--data", str(data), *arguments)


def assert_refused(result: subprocess.CompletedProcess[str], says: str) -> None:
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert says in result.stderr


def test_k16_the_operator_is_shown_what_goes_and_what_stays_and_says_yes(tmp_path: Path) -> None:
    log = write_conversation(tmp_path, "bad")
    offset = flip(log, 4)
    damaged = log.read_bytes()
    (log.parent / "state.json").write_text("{")
    status, shown = on_terminal("repair", "bad", "--data", str(tmp_path), typed="y\n")
    assert status == 0
    assert f"bad: damaged: event 4 at byte {offset:,}: the line is damaged" in shown
    assert "stays: 4 events (0 to 3)" in shown
    assert "goes:  6 events (4 to 9)" in shown
    assert "5 events can still be read" in shown
    assert "5 message" in shown
    assert "2026-11-24T10:00:00.000000Z  message" in shown
    assert "get everything from the start" in shown
    assert (tmp_path / "lock").read_text() == ""
    assert "Cut it there? [y/N]" in shown
    assert shown.rstrip().endswith("repaired: bad keeps 4 events and goes on")
    [kept] = (tmp_path / "quarantine").iterdir()
    assert kept.read_bytes() == damaged
    assert kept.name in shown
    assert not (log.parent / "state.json").exists()
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert [event["id"] for event in events] == [0, 1, 2, 3, 4]
    assert events[4]["observation"] == "greenroom.log_repaired"
    assert events[4]["extras"]["quarantine"] == f"quarantine/{kept.name}"
    assert verify(tmp_path).returncode == 0


@pytest.mark.parametrize("typed", ["n\n", "\n", "maybe\n", "\x04"])
def test_anything_but_yes_leaves_it_as_it_was(tmp_path: Path, typed: str) -> None:
    log = write_conversation(tmp_path, "bad")
    flip(log, 4)
    damaged = log.read_bytes()
    status, shown = on_terminal("repair", "bad", "--data", str(tmp_path), typed=typed)
    assert status == 1
    assert "left as it was" in shown
    assert log.read_bytes() == damaged
    assert not (tmp_path / "quarantine").exists()


def test_without_a_terminal_it_wants_to_be_told_beforehand(tmp_path: Path) -> None:
    log = write_conversation(tmp_path, "bad")
    flip(log, 4)
    damaged = log.read_bytes()
    result = repair(tmp_path, "bad")
    assert_refused(result, "--yes")
    assert "stays: 4 events" in result.stdout
    assert log.read_bytes() == damaged
    assert repair(tmp_path, "bad", "--yes").returncode == 0
    assert verify(tmp_path).returncode == 0


def test_what_is_whole_is_told_so_and_not_touched(tmp_path: Path) -> None:
    log = write_conversation(tmp_path, "one")
    before = log.read_bytes()
    result = repair(tmp_path, "one", "--yes")
    assert (result.returncode, result.stdout) == (
        0,
        "one: nothing is wrong with the log: 10 events, to its last byte\n",
    )
    assert log.read_bytes() == before
    assert_refused(repair(tmp_path, "other"), "there is no conversation other")
    assert_refused(run("repair", "one", "--data", str(tmp_path / "none")), "is not there")
    assert run("repair", "one", "--url", "http://x", "--data", "y").returncode == 2


def test_k16_a_torn_end_takes_nothing_from_clients_and_a_missing_log_begins_anew(tmp_path: Path) -> None:
    log = write_conversation(tmp_path, "torn")
    whole = log.read_bytes()
    log.write_bytes(whole[:-3])
    result = repair(tmp_path, "torn", "--yes")
    assert result.returncode == 0
    assert "torn end" in result.stdout
    assert "everything from the start" not in result.stdout
    write_conversation(tmp_path, "gone").unlink()
    result = repair(tmp_path, "gone", "--yes")
    assert "missing" in result.stdout
    assert "nobody knows how many events" in result.stdout
    told = json.loads(verify(tmp_path, "--json").stdout)
    assert {one["conversation_id"]: (one["damaged"], one["events"]) for one in told["conversations"]} == {
        "gone": (False, 2),
        "torn": (False, 10),
    }


def test_k03_beside_a_server_it_says_how_and_the_note_of_the_last_holder_stays(tmp_path: Path) -> None:
    flip(write_conversation(tmp_path, "bad"), 4)
    lock = tmp_path / "lock"
    with lock.open("a") as held:
        held.write("what the last server left")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert_refused(repair(tmp_path, "bad", "--yes"), "greenroom repair bad --url")
        assert verify(tmp_path).returncode == 1
    assert repair(tmp_path, "bad", "--yes").returncode == 0
    assert lock.read_text() == "what the last server left"


def test_k14_k15_a_repair_that_a_full_disk_stops_changes_nothing_and_leaves_word_for_the_next_server(
    tmp_path: Path,
) -> None:
    log = write_conversation(tmp_path, "bad")
    flip(log, 4)
    damaged = log.read_bytes()
    ours = f"{sys.executable} -m transport.cli repair bad --yes --data {tmp_path}"
    stopped = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 1; exec {ours}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert_refused(stopped, "the repair stopped in the middle")
    assert log.read_bytes() == damaged
    left = (tmp_path / "lock").read_text()
    assert json.loads(left)["durability"] == "sync"
    assert repair(tmp_path, "bad", "--yes").returncode == 0
    assert verify(tmp_path).returncode == 0
    assert (tmp_path / "lock").read_text() == left
