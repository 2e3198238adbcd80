"""`greenroom verify` as an operator meets it: sentences, JSON, an exit status, and a bar where there is a terminal."""

import json
import subprocess
from pathlib import Path

import pytest

from storage.record import decode, encode_batch
from tests.transport.cli.command import on_terminal, run, write_conversation

pytestmark = pytest.mark.wallclock


def verify(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("verify", "--data", str(data), *arguments)


def flip(log: Path, event_id: int) -> int:
    """Damage this event's line; where it begins."""
    data = bytearray(log.read_bytes())
    offset = data.index(b'{"id":%d,"epoch"' % event_id)
    data[offset + 60] ^= 1
    log.write_bytes(data)
    return offset


def test_all_good_is_one_line_and_status_0(tmp_path: Path) -> None:
    log = write_conversation(tmp_path, "one")
    result = verify(tmp_path, "--all")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("1 conversation, 10 events, ")
    assert result.stdout.endswith("all good\n")
    assert result.stdout.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conversations", "format.json"]
    assert sorted(path.name for path in log.parent.iterdir()) == ["events.jsonl", "files"]


def test_k16_damage_is_a_sentence_with_its_place_advice_and_status_1(tmp_path: Path) -> None:
    write_conversation(tmp_path, "fine")
    offset = flip(write_conversation(tmp_path, "bad"), 4)
    result = verify(tmp_path)
    assert result.returncode == 1
    told, advice, total = result.stdout.splitlines()
    assert told == (
        f"conversations/bad/events.jsonl: damaged: event 4 at byte {offset}: the line is damaged; "
        "readable before it: 4 events, whole behind it: 5 events"
    )
    assert "greenroom repair bad" in advice
    assert total.startswith("2 conversations, 14 events, ")
    assert total.endswith("1 damaged")
    assert verify(tmp_path, "fine").returncode == 0
    assert verify(tmp_path, "fine", "bad").returncode == 1


def test_json_says_the_same_for_programs(tmp_path: Path) -> None:
    write_conversation(tmp_path, "fine", 3)
    offset = flip(write_conversation(tmp_path, "bad"), 4)
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "settings.json").write_text("{")
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine" / "old").write_text("12345")
    result = verify(tmp_path, "--json")
    told = json.loads(result.stdout)
    assert (result.returncode, told["damaged"]) == (1, 2)
    assert {one["conversation_id"]: (one["damaged"], one["events"]) for one in told["conversations"]} == {
        "bad": (True, 4),
        "fine": (False, 3),
    }
    document, log = told["findings"]
    assert (document["code"], document["path"], document["damage"]) == (
        "document_damaged", "documents/settings.json", True,
    )  # fmt: skip
    assert log == {
        "code": "log_corrupt",
        "path": "conversations/bad/events.jsonl",
        "why": "the line is damaged",
        "conversation_id": "bad",
        "event_id": 4,
        "offset": offset,
        "events_before": 4,
        "events_behind": 5,
        "damage": True,
    }
    assert told["quarantine"] == [{"path": "quarantine/old", "size_bytes": 5}]


def test_k19_what_a_newer_version_wrote_is_counted_and_no_damage(tmp_path: Path) -> None:
    log = write_conversation(tmp_path, "one")
    line = log.read_bytes().splitlines()[3]
    assert b'"action":"message"' in line
    record = decode(line)
    assert record is not None
    [newer] = encode_batch(3, 1, [record.event.replace(b'"action":"message"', b'"action":"teleport"')])
    log.write_bytes(log.read_bytes().replace(line + b"\n", newer))
    result = verify(tmp_path, "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["conversations"][0]["unknown_events"] == 1


def test_what_keeps_it_from_running_is_one_line_and_status_2(tmp_path: Path) -> None:
    def is_told(result: subprocess.CompletedProcess[str], says: str) -> bool:
        return (result.returncode, result.stderr.count("\n"), result.stdout) == (2, 1, "") and says in result.stderr

    assert is_told(verify(tmp_path / "none"), "is not there")
    assert is_told(verify(tmp_path), "no data folder of Greenroom's")
    assert not list(tmp_path.iterdir())
    write_conversation(tmp_path, "one")
    assert is_told(verify(tmp_path, "other"), "there is no conversation other")
    (tmp_path / "format.json").write_text('{"format":99}')
    assert is_told(verify(tmp_path), "this version reads format 1")
    assert is_told(run("verify", FILE_STORE="memory"), "no data folder to look at")
    assert verify(tmp_path, "--all", "one").returncode == 2


def test_it_finds_the_folder_as_the_server_does_and_needs_no_key_for_that(tmp_path: Path) -> None:
    write_conversation(tmp_path, "one")
    assert run("verify", FILE_STORE_PATH=str(tmp_path), HOST_ADDRESS="0.0.0.0").returncode == 0  # noqa: S104


def test_a_terminal_is_shown_how_far_it_is(tmp_path: Path) -> None:
    write_conversation(tmp_path, "one")
    status, shown = on_terminal("verify", "--data", str(tmp_path))
    assert status == 0
    assert "verifying" in shown
    assert "100%" in shown
    assert "all good" in shown
