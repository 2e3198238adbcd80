"""The table of `greenroom ps`: a row says what there is, and a dash what there is not."""

from typing import Any

from transport.cli.listed import table

NOTHING: dict[str, Any] = {
    "conversation_id": "a", "status": None, "agent_state": None, "residency": "activating", "reason": "",
    "incarnation": None, "restarts": 0, "mailbox": None, "turn": None, "run_time": None, "retry": None,
    "last_failure": "", "disk_refuses": None, "next": None,
}  # fmt: skip

BUSY = NOTHING | {
    "conversation_id": "bbbb", "status": "RUNNING", "agent_state": "running", "residency": "hot", "incarnation": 7,
    "restarts": 2,
    "mailbox": {
        "control": {"messages": 1, "oldest": {"seconds_ago": 0.5}},
        "work": {"messages": 12, "oldest": {"seconds_ago": 3.21}},
    },
    "run_time": {"activity": "running", "run": 12, "since": {"seconds_ago": 75}},
    "next": {"what": "command_timeout", "in_seconds": 45},
}  # fmt: skip


def row(actor: dict[str, Any]) -> list[str]:
    _, found = table([actor])
    return [cell.strip() for cell in found.split("  ") if cell]


def test_columns_stand_below_their_heads() -> None:
    head, first, second = table([NOTHING, BUSY])
    for name in ("STATUS", "WHERE", "AGENT", "INC", "MAILBOX", "NOW", "NEXT"):
        at = head.index(name)
        assert first[at - 1] == second[at - 1] == " "
        assert first[at] != " "
        assert second[at] != " "


def test_what_is_not_there_is_a_dash() -> None:
    assert row(NOTHING) == ["a", "-", "activating", "-", "-", "0", "-", "-", "-"]


def test_what_is_there_is_told_with_its_age() -> None:
    assert row(BUSY)[5:] == ["2", "1+12 3.2 s", "running 12 1 min 15 s", "command_timeout in 45 s"]


def test_a_turn_comes_before_what_the_run_time_is_at() -> None:
    turn = {"commands": {"AddMessage": 2, "Record": 1}, "seconds_ago": 1.5}
    assert "2 AddMessage,Record 1.5 s" in " ".join(row(BUSY | {"turn": turn}))


def test_the_reason_is_one_short_line() -> None:
    text = row(NOTHING | {"reason": "it\nbroke " + "x" * 100})[-1]
    assert text.startswith("it broke xxx")
    assert text.endswith("…")
    assert len(text) == 60
    crashed = {"retry": {"in_seconds": 0.05}, "last_failure": "KeyError('x')"}
    assert row(NOTHING | crashed)[-1] == "KeyError('x')"
    assert row(NOTHING | {"disk_refuses": {"seconds_ago": 3}})[-1] == "the disk takes nothing"
