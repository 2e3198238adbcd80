"""Every fact that the server tells has a sentence, and nothing in it can act upon a terminal."""

import re
from typing import Any

import attrs
import pytest

from actors.conversation.explanation import Code, Explanation
from actors.conversation.seen import What
from tests.actors.conversation import test_explanation as states
from transport.cli.explained import CODES, lines, sentence

URL = "http://127.0.0.1:3000"
SINCE = {"at": "2026-11-24T10:00:00.000Z", "seconds_ago": 75.0}
THEN = {"at": "2026-11-24T10:00:00.000Z", "in_seconds": 0.25}


def test_every_code_has_a_sentence_and_no_sentence_is_of_no_code() -> None:
    assert {*Code, *What} == CODES


@pytest.mark.parametrize("case", states.CASES.values(), ids=states.CASES)
def test_every_state_is_told_in_whole_sentences(case: tuple[Any, ...]) -> None:
    explanation = states.explained(*case[0])
    for field in attrs.fields(Explanation):
        for fact in getattr(explanation, field.name):
            when: dict[str, Any] = {}
            if fact.at is not None:
                when = SINCE if fact.at <= states.NOW else THEN
            said = sentence({"code": fact.code, **when, **fact.about}, "ID", URL)
            assert re.fullmatch(r"[A-Z0-9`].*\.", said), said
            assert "{" not in said
            assert ("10:00:00Z" in said) == bool(when), said


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ({"code": "run", "run": 12, **SINCE}, "Run 12 since 10:00:00Z (1 min 15 s)."),
        ({"code": "restart", **THEN}, "Its actor is started again at 10:00:00Z (in 0.2 s)."),
        (
            {"code": "close", "at": "2026-11-24T10:00:00.000Z", "in_seconds": 100_000},
            "Its run-time is closed at 2026-11-24 10:00:00Z (in 1 d 3 h) if nothing happens before.",
        ),
        ({"code": "clients", "clients": 1, "behind": 0}, "1 client."),
        ({"code": "clients", "clients": 3, "behind": 1}, "3 clients, 1 of them reading behind the others."),
        (
            {"code": "disk", "commands": {"AddMessage": 2, "Record": 1}, **SINCE},
            "The disk, for a turn (2 AddMessage, 1 Record) since 10:00:00Z (1 min 15 s).",
        ),
        (
            {"code": "mailbox", "control": 0, "work": 5, "suspects": 0, **SINCE},
            "Its mailbox: 5 work; the oldest since 10:00:00Z (1 min 15 s).",
        ),
        (
            {"code": "mailbox", "control": 0, "work": 0, "suspects": 2},
            "Its mailbox: 2 of a turn that crashed, one by one.",
        ),
        (
            {"code": "failed", "reason": "crash_loop", "crashes": 6, "last_failure": "KeyError('x')"},
            "Its actor crashed again and again, and is not started any more. The last failure: KeyError('x').",
        ),
        (
            {"code": "failed", "reason": "of_tomorrow", "last_failure": "", **SINCE},
            "It cannot be brought to life (of_tomorrow). It has been so since 10:00:00Z (1 min 15 s).",
        ),
        (
            {"code": "run_time", "phase": "open", "activity": "resting", **SINCE},
            "Its run-time: open, resting since 10:00:00Z (1 min 15 s).",
        ),
        (
            {"code": "run_time", "phase": "opening", "activity": "opening", **SINCE},
            "Its run-time: opening since 10:00:00Z (1 min 15 s).",
        ),
        ({"code": "agent", "state": "error", "reason": "out of cheese"}, "Its agent failed: out of cheese."),
        ({"code": "agent", "state": "rate_limited", "reason": ""}, "Its agent is rate_limited."),
        (
            {"code": "confirmation", "action_id": 8, "reason": "it \x1b[2Jremoves\nfiles"},
            "The user's word on action 8: it \ufffd[2Jremoves files.",
        ),
        ({"code": "repair"}, f"`greenroom repair ID --url {URL}` shows what would be lost, and asks."),
        ({"code": "of_tomorrow", **SINCE}, "(of_tomorrow since 10:00:00Z (1 min 15 s))"),
    ],
)
def test_a_fact_in_words(fact: dict[str, Any], said: str) -> None:
    assert sentence(fact, "ID", URL) == said


def test_what_has_nothing_to_say_has_no_heading() -> None:
    conversation = {
        "conversation_id": "3f2a", "title": "Hello\nthere",
        "lifecycle": {"status": "STOPPED", "residency": "cold", "agent_state": "stopped"},
    }  # fmt: skip
    explanation = {"because": [{"code": "agent", "state": "stopped", "reason": ""}], "can_do": []}
    assert list(lines(conversation, explanation, URL)) == [
        "3f2a “Hello there”", "is STOPPED, cold, its agent stopped.", "", "Why it is so:", "  Its agent is stopped.",
    ]  # fmt: skip
