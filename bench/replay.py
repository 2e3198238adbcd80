"""P4, replay: a client connects to a conversation of thousands of events and gets all of them.

Counted from the first packet of its TCP connection to the last event, with everything in between. *Hot*: the
conversation is in memory, of its log only what came last; *woken*: the server has just been started, and knows of the
conversation only that it is there.
"""

import argparse
import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import attrs
import trio

from bench.baseline import machine
from bench.crowd import Crowd, open_crowd
from bench.report import spread
from bench.servers import Server, ServerError, greenroom

__all__ = ["SUMMARY", "add_arguments", "make_history", "run", "visible_ids"]

SUMMARY = "Replay (P4): a long history to a client that connects."

PIECE_BYTES = 256 * 1024

HISTORY_SECONDS_MAX = 120.0
"""Until the history has been written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=10_000, help="of the conversation (10000, as P4 says)")
    parser.add_argument("--bytes", type=int, default=100, help="of the text of each (100)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each kind, interleaved (10)")
    parser.add_argument(
        "--together", type=int, default=20, help="clients that come at once, in turns of their own (20)"
    )
    parser.add_argument("--starts", type=int, default=3, help="of the server, for the woken (3)")


@attrs.frozen
class Replay:
    """One turn: the last of its clients had the last event after so long."""

    seconds: float
    cpu_seconds: float


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    print(
        f"P4 replay: {arguments.events:,} events of {arguments.bytes} bytes of text to a client that connects, "
        f"{arguments.rounds} rounds, turns interleaved\n{machine(folder)}, in the page cache",
        flush=True,
    )
    await trio.to_thread.run_sync(_measure, arguments, folder)


def _measure(arguments: argparse.Namespace, folder: Path) -> None:
    data, kinds = folder / "data", {"hot, one client": 1, f"hot, {arguments.together} at once": arguments.together}
    found: dict[str, list[Replay]] = {kind: [] for kind in kinds}
    raws: list[float] = []
    with greenroom(data) as server, open_crowd() as crowd:
        conversation_id = make_history(server, f"/burst {arguments.events} {arguments.bytes}")
        ids = visible_ids(server, conversation_id)
        log = data / "conversations" / conversation_id / "events.jsonl"
        for _ in range(arguments.rounds):
            raws.append(_raw_copy(log))
            for kind, count in kinds.items():
                found[kind].append(_replay(server, crowd, conversation_id, len(ids), count))
    woken = found["woken, one client"] = []
    for _ in range(arguments.starts):
        with greenroom(data) as server, open_crowd() as crowd:
            woken.append(_replay(server, crowd, conversation_id, len(ids), 1))
    print(
        f"{log.stat().st_size / 1e6:.1f} MB; read and sent by a bare loop: {spread([raw * 1e3 for raw in raws])} ms\n"
    )
    print(_table(found, len(ids), {**kinds, "woken, one client": 1}), flush=True)


def make_history(server: Server, text: str) -> str:
    """The id of a conversation in which this was said, once its agent has answered."""
    conversation_id = server.create_conversation()
    server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": text})
    deadline = time.perf_counter() + HISTORY_SECONDS_MAX
    while time.perf_counter() < deadline:
        match server.request("GET", f"/api/conversations/{conversation_id}"):
            case {"lifecycle": {"agent_state": "awaiting_user_input", "last_event_id": int(last)}} if last > 10:
                return conversation_id
        time.sleep(0.1)
    raise ServerError("the history does not come to its end")


def visible_ids(server: Server, conversation_id: str) -> list[int]:
    """The ids of all events that clients are shown."""
    match server.request("GET", f"/api/conversations/{conversation_id}/trajectory"):
        case {"trajectory": [*events]}:
            return [event["id"] for event in events if not str(event.get("observation")).startswith("greenroom.")]
    raise ServerError("no trajectory")


def _replay(server: Server, crowd: Crowd, conversation_id: str, events: int, clients: int) -> Replay:
    cpu_before, began = server.cpu_seconds() or 0.0, time.perf_counter()
    listeners = [crowd.dial(server.url, {"conversation_id": conversation_id}) for _ in range(clients)]
    crowd.wait(listeners, lambda listener: listener.count >= events)
    took = time.perf_counter() - began
    crowd.leave(listeners)
    return Replay(took, (server.cpu_seconds() or 0.0) - cpu_before)


def _raw_copy(path: Path) -> float:
    """Seconds to read a file and send it to somebody who reads: what nobody's server can be quicker than."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sender,
        listener.accept()[0] as receiver,
        path.open("rb", buffering=0) as file,
    ):
        reader = threading.Thread(target=_read_out, args=(receiver,))
        reader.start()
        began = time.perf_counter()
        while piece := file.read(PIECE_BYTES):
            sender.sendall(piece)
        sender.shutdown(socket.SHUT_WR)
        reader.join()
        return time.perf_counter() - began


def _read_out(receiver: socket.socket) -> None:
    while os.read(receiver.fileno(), PIECE_BYTES):
        pass


def _table(found: dict[str, list[Replay]], events: int, clients: dict[str, int]) -> str:
    lines = [f"{'':22}{'ms':>10}{'least':>9}{'most':>9}{'server CPU-ms':>15}{'CPU-µs an event':>17}"]
    for kind, replays in found.items():
        took = [replay.seconds * 1e3 for replay in replays]
        cpu = _mean([replay.cpu_seconds for replay in replays]) * 1e3
        lines.append(
            f"{kind:22}{median(took):10.1f}{min(took):9.1f}{max(took):9.1f}{cpu:15.1f}"
            f"{cpu * 1e3 / events / clients[kind]:17.2f}"
        )
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    """Not the median: a turn is a few ticks of the clock by which CPU is counted."""
    return sum(values) / len(values)
