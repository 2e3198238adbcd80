"""`python -m bench.crash`: kill -9 under load, again and again, and a checker after each time (P10, K8, K11, K13, K31).

Every voice is a client that writes numbered notes as fast as the server takes them, each under a key, several in
flight, and keeps what was acknowledged and what it was shown. Beside them founders create conversations, each under a
key, too. The server is killed at a random moment and started again; voices come back with their last event id, and all
of them try again, under the same key, what was not acknowledged. After each round every log is read from the disk and
held against what they know.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from statistics import median

import attrs
import orjson
import trio

from bench.checkers import Event, Violation, check_acknowledged, check_creations, check_keys, check_log, check_view
from bench.client import ClientError
from bench.report import first_failure
from bench.servers import Server, ServerError, greenroom
from bench.voices import Founder, Voice

__all__ = ["Campaign", "Findings", "main", "run_campaign"]

VOICES_A_CONVERSATION = 2

ROUNDS_A_GENERATION = 20
"""Then new conversations take over: every round checks all that its voices have ever seen."""


@attrs.frozen
class Campaign:
    """`seconds_max` is the longest time of load before a kill; the moment is drawn with `seed`."""

    rounds: int
    conversations: int
    seconds_max: float
    seed: int


@attrs.define
class Findings:
    """`recoveries` in seconds: from the start of the process until every conversation has taken a message. `replayed`
    are retries of what had been done before the kill, creations among them."""

    rounds: int = 0
    acknowledged: int = 0
    replayed: int = 0
    created: int = 0
    recoveries: list[float] = attrs.field(factory=list)


async def run_campaign(campaign: Campaign, folder: Path) -> Findings:
    """Raises `Violation` at the first broken promise; then `folder` shows what became of the data."""
    chance = random.Random(campaign.seed)
    findings, voices, founder, data = Findings(), list[Voice](), Founder(), folder / "data"
    for number in range(campaign.rounds):
        began = time.perf_counter()
        with greenroom(data) as server:
            if number % ROUNDS_A_GENERATION == 0:
                await _settle(server, data, voices, findings)
                voices = await trio.to_thread.run_sync(_voices, server, campaign.conversations)
            await _revive(server, voices, f"/note round {number}")
            findings.recoveries.append(time.perf_counter() - began)
            await trio.to_thread.run_sync(_check_all, data, voices)
            await trio.to_thread.run_sync(_check_founded, data, founder)
            await _load_and_kill(server, voices, founder, chance.uniform(0.05, campaign.seconds_max))
        findings.rounds = number + 1
    with greenroom(data) as server:
        await _revive(server, voices, "/note the end")
        await _settle(server, data, voices, findings)
        await trio.to_thread.run_sync(founder.found_next, server.url)
        _check_founded(data, founder)
    findings.created, findings.replayed = len(founder.ids), findings.replayed + founder.replayed
    return findings


async def _settle(server: Server, data: Path, voices: Sequence[Voice], findings: Findings) -> None:
    """Whatever was sent has been acknowledged in the end, so all of it must be there once."""
    async with trio.open_nursery() as nursery:
        for voice in voices:
            nursery.start_soon(voice.settle, server.url)
    await trio.to_thread.run_sync(_check_all, data, voices)
    findings.acknowledged += sum(voice.sent for voice in voices)
    findings.replayed += sum(voice.replayed for voice in voices)


def _voices(server: Server, conversations: int) -> list[Voice]:
    ids = [server.create_conversation() for _ in range(conversations)]
    return [
        Voice(f"v{place}-{seat}", found, 0) for place, found in enumerate(ids) for seat in range(VOICES_A_CONVERSATION)
    ]


async def _revive(server: Server, voices: Sequence[Voice], text: str) -> None:
    """Every conversation takes a message: its log was verified and repaired before that."""
    async with trio.open_nursery() as nursery:
        for conversation_id in sorted({voice.conversation_id for voice in voices}):
            nursery.start_soon(trio.to_thread.run_sync, _say_once, server, conversation_id, text)


def _say_once(server: Server, conversation_id: str, text: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{server.url}/api/conversations/{conversation_id}/message",
        orjson.dumps({"message": text}),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        answer.read()


async def _load_and_kill(server: Server, voices: Sequence[Voice], founder: Founder, seconds: float) -> None:
    assert server.pid is not None  # noqa: S101 - it was started here; tells mypy
    killed = False

    async def talk(voice: Voice) -> None:
        try:
            await voice.talk(server.url)
        except ClientError as failure:
            if not killed:
                raise Violation(f"{voice.name} lost its connection to a living server: {failure}") from failure

    async def found() -> None:
        try:
            await trio.to_thread.run_sync(founder.found, server.url)
        except (OSError, HTTPException) as failure:
            if not killed:
                raise Violation(f"a creation failed at a living server: {failure}") from failure

    async with trio.open_nursery() as nursery:
        nursery.start_soon(found)
        for voice in voices:
            nursery.start_soon(talk, voice)
        await trio.sleep(seconds)
        killed = True
        os.kill(server.pid, signal.SIGKILL)


def _check_all(data: Path, voices: Sequence[Voice]) -> None:
    """Raises `Violation`."""
    logs: dict[str, list[Event]] = {}
    for voice in voices:
        if voice.conversation_id not in logs:
            path = data / "conversations" / voice.conversation_id / "events.jsonl"
            logs[voice.conversation_id] = check_log(path.read_bytes())
        log = logs[voice.conversation_id]
        texts = [event["args"]["content"] for event in log if event.get("action") == "message"]
        try:
            check_acknowledged(texts, voice.acknowledged)
            check_keys(log, voice.texts, voice.event_ids)
            check_view(voice.view, log, -1)
        except Violation as violation:
            raise Violation(f"{voice.name} in {voice.conversation_id}: {violation}") from violation


def _check_founded(data: Path, founder: Founder) -> None:
    """Raises `Violation`."""
    firsts = {}
    for folder in (data / "conversations").iterdir():
        with (folder / "events.jsonl").open("rb") as log:
            [firsts[folder.name]] = check_log(log.readline())
    check_creations(firsts, founder.ids)


def _report(campaign: Campaign, findings: Findings) -> str:
    times = sorted(findings.recoveries)
    p99 = times[min(int(0.99 * len(times)), len(times) - 1)]
    clients = campaign.conversations * VOICES_A_CONVERSATION
    return (
        f"{findings.rounds} kills under load of {clients} clients in {campaign.conversations} conversations "
        f"(seed {campaign.seed})\n{findings.acknowledged:,} messages and {findings.created:,} creations acknowledged, "
        f"all of them there once and equal, {findings.replayed:,} of them tried again when they had been done already; "
        f"ids dense, checksums right; no view with a gap or a repeat\nfrom process start until every conversation has "
        f"taken a message: p50 {median(times):.2f} s, p99 {p99:.2f} s, longest {times[-1]:.2f} s"
    )


def main() -> None:
    """Exit status 1 and one line at the first broken promise; the data are kept then."""
    parser = argparse.ArgumentParser("bench.crash", description="kill -9 under load, and a checker after each time.")
    parser.add_argument("--rounds", type=int, default=10, help="kills (10)")
    parser.add_argument("--conversations", type=int, default=4, help=f"with {VOICES_A_CONVERSATION} clients each (4)")
    parser.add_argument("--seconds", type=float, default=1.0, help="longest time of load before a kill (1)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments (drawn)")
    arguments = parser.parse_args()
    campaign = Campaign(arguments.rounds, arguments.conversations, arguments.seconds, arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="greenroom-crash-"))
    try:
        findings = trio.run(run_campaign, campaign, folder)
    except* (Violation, ClientError, ServerError, OSError) as failures:
        sys.exit(f"bench.crash: seed {campaign.seed}: {first_failure(failures)}\nthe data are in {folder}")
    print(_report(campaign, findings))


if __name__ == "__main__":
    main()
