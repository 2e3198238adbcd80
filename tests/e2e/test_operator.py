"""An operator and a damaged disk: the real command beside the real server, whose other conversations go on."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.record import encode_batch
from tests.e2e.server import ServerProcess
from tests.transport.cli.command import on_terminal, run
from tests.transport.cli.test_verify import flip

pytestmark = pytest.mark.wallclock


def note(server: ServerProcess, conversation_id: str, text: str) -> None:
    server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": f"/note {text}"})


def notes(server: ServerProcess, conversation_id: str) -> list[str]:
    events = server.events(conversation_id)
    return [event["args"]["content"] for event in events if event.get("action") == "message"]


def lifecycle(server: ServerProcess, conversation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", f"/api/conversations/{conversation_id}")["lifecycle"]
    return found


def log_of(server: ServerProcess, conversation_id: str) -> Path:
    return server.data / "conversations" / conversation_id / "events.jsonl"


def joined(server: ServerProcess, conversation_id: str, **query: object) -> tuple[dict[str, Any], list[bytes]]:
    """What a client by polling is greeted with, and the bytes of the events that it is sent at first."""
    asked = "&".join(f"{name}={value}" for name, value in ({"conversation_id": conversation_id} | query).items())
    address = f"{server.url}/socket.io/?EIO=4&transport=polling&{asked}"
    sid = json.loads(_asked(address)[1:])["sid"]
    address += f"&sid={sid}"
    _asked(address, b"40")
    packets: list[bytes] = []
    while not any(b'"STATUS$' in packet for packet in packets):  # it comes after the history
        packets += _asked(address).split(b"\x1e")
    greeting = json.loads(packets[0].removeprefix(b"40"))
    events = [packet.removeprefix(b'42["oh_event",').removesuffix(b"]") for packet in packets[1:]]
    return greeting, [event for event in events if b'"id":' in event and b'"status_update"' not in event]


def _asked(address: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(address, body, {"Content-Type": "text/plain"} if body else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
        return bytes(answer.read())


@contextmanager
def going_on(server: ServerProcess, conversation_id: str) -> Iterator[list[str]]:
    """Notes are written to this conversation all the time; which ones, so far."""
    written: list[str] = []
    stopping = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            while not stopping.wait(0.02):  # the server lets 100 a second pass from one address
                note(server, conversation_id, str(len(written)))
                written.append(f"/note {len(written)}")
        except OSError as failure:
            failures.append(failure)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        stopping.set()
        writer.join(20)
    assert failures == []


def damaged(server: ServerProcess) -> tuple[str, str, int, bytes]:
    """A stopped server with a fine conversation and one that has a flipped byte in an event in the middle, whose id and
    log are told, too."""
    fine, bad = server.create(), server.create()
    for conversation_id in (fine, bad):
        server.wait_for(conversation_id, "agent_state_changed")
        for number in range(6):
            note(server, conversation_id, str(number))
    server.stop()
    events = [json.loads(line)["event"] for line in log_of(server, bad).read_text().splitlines()]
    [event_id] = [event["id"] for event in events if event.get("message") == "/note 3"]
    flip(log_of(server, bad), event_id)
    return fine, bad, event_id, log_of(server, bad).read_bytes()


def test_k16_a_flipped_byte_is_found_and_repaired_beside_a_server_whose_other_conversations_go_on(
    server: ServerProcess,
) -> None:
    fine, bad, event_id, log = damaged(server)
    server.start()
    epoch = lifecycle(server, bad)["stream_epoch"]
    page = server.request("GET", f"/api/conversations/{bad}/events?limit=100")
    assert ([event["id"] for event in page["events"]], page["damaged_at"]) == (list(range(event_id)), event_id)
    assert (lifecycle(server, bad)["residency"], lifecycle(server, bad)["reason"]) == ("failed", "log_corrupt")
    assert log_of(server, bad).read_bytes() == log
    with going_on(server, fine) as written:
        seen = run("verify", "--data", str(server.data), "--json")
        told = json.loads(seen.stdout)
        assert (seen.returncode, told["damaged"]) == (1, 1)
        [finding] = [finding for finding in told["findings"] if finding["damage"]]
        assert (finding["conversation_id"], finding["code"], finding["event_id"]) == (bad, "log_corrupt", event_id)
        assert (finding["events_before"], finding["offset"]) == (event_id, log.index(b'{"id":%d,"epoch"' % event_id))
        refused = run("repair", bad, "--data", str(server.data), "--yes")
        assert (refused.returncode, log_of(server, bad).read_bytes()) == (2, log)
        assert "--url" in refused.stderr
        before = len(written)
        repaired = run("repair", bad, "--url", server.url, "--yes")
        assert (repaired.returncode, repaired.stderr) == (0, "")
        assert f"stays: {event_id} events (0 to {event_id - 1})" in repaired.stdout
        note(server, bad, "after")
        assert len(written) > before
    assert notes(server, bad)[-1] == "/note after"
    assert notes(server, fine)[-1] == written[-1]
    [kept] = (server.data / "quarantine").iterdir()
    assert kept.read_bytes() == log
    stored = server.events(bad)
    assert [event["id"] for event in stored] == list(range(len(stored)))
    # A client of before knows ids that are others now.
    greeting, events = joined(server, bad, latest_event_id=event_id - 1, stream_epoch=epoch)
    assert greeting["recovered"] is False
    assert greeting["stream_epoch"] > epoch
    shown = [event["id"] for event in stored if not str(event.get("observation")).startswith("greenroom.")]
    assert [json.loads(event)["id"] for event in events][: len(shown)] == shown
    assert run("verify", "--data", str(server.data)).returncode == 0
    assert run("repair", bad, "--url", server.url, "--yes").stdout.startswith(f"{bad}: ")


def test_k16_a_stopped_server_s_log_is_repaired_on_a_terminal_and_lives_again_at_the_next_start(
    server: ServerProcess,
) -> None:
    _, bad, event_id, log = damaged(server)
    status, shown = on_terminal("repair", bad, "--data", str(server.data), typed="y\n")
    assert (status, f"keeps {event_id} events" in shown) == (0, True)
    server.start()
    note(server, bad, "after")
    assert notes(server, bad)[-1] == "/note after"
    assert lifecycle(server, bad)["residency"] == "hot"
    [kept] = (server.data / "quarantine").iterdir()
    assert kept.read_bytes() == log


def test_verify_beside_a_server_under_load_finds_nothing_wrong(server: ServerProcess) -> None:
    busy = [server.create() for _ in range(2)]
    with going_on(server, busy[0]), going_on(server, busy[1]) as written:
        for _ in range(3):
            before = len(written)
            seen = run("verify", "--data", str(server.data), "--json")
            assert (seen.returncode, seen.stderr) == (0, "")
            assert json.loads(seen.stdout)["damaged"] == 0
            assert len(written) > before


def test_the_operator_s_routes_want_the_key(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"SESSION_API_KEY": "the-key"})
    server.start()
    try:
        it = server.create()
        keyless = run("repair", it, "--url", server.url, "--yes")
        assert (keyless.returncode, keyless.stderr) == (
            2, "greenroom: the server wants another key (SESSION_API_KEY or --key)\n",
        )  # fmt: skip
        assert "nothing is wrong" in run("repair", it, "--url", server.url, "--key", "the-key").stdout
        assert "nothing is wrong" in run("repair", it, "--url", server.url, SESSION_API_KEY="the-key").stdout
        unknown = run("repair", "nobody", "--url", server.url, "--key", "the-key")
        assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
        assert "Conversation not found" in unknown.stderr
    finally:
        server.kill()


def test_k19_events_from_the_future_go_out_byte_for_byte_by_rest_and_socket(server: ServerProcess) -> None:
    it = server.create()
    server.wait_for(it, "agent_state_changed")
    server.stop()
    log = log_of(server, it)
    lines = log.read_bytes().splitlines()
    first_id, epoch = len(lines), json.loads(lines[-1])["epoch"]
    written = [
        b'{"id":%d,"timestamp":"2026-01-01T00:00:00Z","source":"agent","action":"teleport", "args":{"to":"\\u0041"}}',
        b'{"source":"user", "id":%d,"timestamp":"2026-01-01T00:00:00Z","revision":7,"action":"message","args":1.50}',
    ]
    written = [event % event_id for event_id, event in enumerate(written, first_id)]
    with log.open("ab") as file:
        file.write(b"".join(encode_batch(first_id, epoch, written)))
    server.start()
    answer = _asked(f"{server.url}/api/conversations/{it}/events?limit=100")
    for event in written:
        assert event in answer
    assert [event for event in joined(server, it)[1] if event in written] == written
    assert lifecycle(server, it)["unknown_events"] == 2
    note(server, it, "goes on")
