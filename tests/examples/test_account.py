"""The account's decisions, and its log on a real disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.testing import Decider
from examples.account import (
    Command,
    Deposit,
    Deposited,
    Event,
    Log,
    Refused,
    Withdraw,
    Withdrew,
    apply,
    decide,
    decode,
    encode,
    open_bank,
)

ACCOUNT: Decider[int, Command, Event] = Decider(0, decide, apply, reread=lambda event: decode(encode(event)))


def test_what_is_paid_in_can_be_taken_out_and_no_more() -> None:
    account = (
        ACCOUNT.given(Deposited(100))
        .when(Deposit(10))
        .then(Deposited(10))
        .when(Withdraw(60))
        .then(Withdrew(60))
        .when(Withdraw(50))
        .then(Withdrew(50))
    )
    assert account.state == 0
    assert str(account.when(Withdraw(1)).then_refused(Refused)) == "1 is more than the 0 that there are"


@pytest.mark.parametrize("command", [Deposit(0), Withdraw(0), Deposit(-1), Withdraw(-1)])
def test_what_is_no_amount_is_refused(command: Command) -> None:
    ACCOUNT.given(Deposited(100)).when(command).then_refused(Refused)


@given(st.lists(st.builds(Deposit, st.integers()) | st.builds(Withdraw, st.integers()), max_size=8))
def test_no_account_is_ever_overdrawn(commands: list[Command]) -> None:
    account = ACCOUNT.given()
    for command in commands:
        told = account.when(command)
        try:
            account = told.then(*decide(account.state, command))
        except Refused:
            told.then_refused(Refused)
        assert account.state >= 0


async def test_what_was_acknowledged_is_there_after_any_crash_and_a_torn_write_is_not(tmp_path: Path) -> None:
    with trio.CancelScope() as kill:
        async with open_bank(tmp_path) as accounts:
            assert await accounts.ref("ada").ask(Deposit(100)) == 100
            assert await accounts.ref("ada").ask(Withdraw(40)) == 60
            kill.cancel()
            await trio.lowlevel.checkpoint()
    whole = (tmp_path / "ada.jsonl").read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1])):
        (tmp_path / "ada.jsonl").write_bytes(whole[:-cut])
        assert Log(tmp_path / "ada.jsonl").load() == [Deposited(100)]
    Log(tmp_path / "ada.jsonl").append([Withdrew(30)])
    async with open_bank(tmp_path) as accounts:
        assert await accounts.ref("ada").ask(Withdraw(70)) == 0


async def test_a_turn_is_one_line_and_a_refusal_in_it_leaves_the_others_alone(tmp_path: Path) -> None:
    async with open_bank(tmp_path) as accounts:
        ada: Callable[[Command], object] = accounts.ref("ada").tell
        for command in (Deposit(50), Withdraw(60), Withdraw(50)):
            ada(command)
    assert len((tmp_path / "ada.jsonl").read_text().splitlines()) == 1
    assert Log(tmp_path / "ada.jsonl").load() == [Deposited(50), Withdrew(50)]
