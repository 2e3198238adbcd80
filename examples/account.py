"""A bank account whose truth is its log: it survives being killed. `python -m examples.account` runs it.

Three parts, as in any event-sourced actor. `decide` and `apply` are plain functions: which events a command leads to,
and what an event changes. `Log` keeps the events. `Account` is thin: it decides, writes, and only then answers. The log
here is as small as one can be and still be honest about crashes; that of Greenroom is in `storage/event_log`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias, assert_never

import attrs
import trio

from actors.runtime import Context, Envelope, Registry, open_registry

# --- what is decided -----------------------------------------------------------------------------------------------


@attrs.frozen
class Deposit:
    amount: int


@attrs.frozen
class Withdraw:
    amount: int


@attrs.frozen
class Deposited:
    amount: int


@attrs.frozen
class Withdrew:
    amount: int


Command: TypeAlias = Deposit | Withdraw
Event: TypeAlias = Deposited | Withdrew


class Refused(Exception):
    """Nothing happened."""


def decide(balance: int, command: Command) -> list[Event]:
    """Raises `Refused`."""
    if command.amount <= 0:
        raise Refused(f"{command.amount} is no amount")
    match command:
        case Deposit(amount):
            return [Deposited(amount)]
        case Withdraw(amount) if amount > balance:
            raise Refused(f"{amount} is more than the {balance} that there are")
        case Withdraw(amount):
            return [Withdrew(amount)]
        case _:
            assert_never(command)


def apply(balance: int, event: Event) -> int:
    match event:
        case Deposited(amount):
            return balance + amount
        case Withdrew(amount):
            return balance - amount
        case _:
            assert_never(event)


# --- what is kept --------------------------------------------------------------------------------------------------

KINDS: dict[str, type[Event]] = {"deposited": Deposited, "withdrew": Withdrew}


def encode(event: Event) -> dict[str, object]:
    return {"kind": type(event).__name__.lower(), "amount": event.amount}


def decode(record: dict[str, object]) -> Event:
    return KINDS[str(record["kind"])](int(str(record["amount"])))


class Log:
    """A file with one line for each turn, which makes a turn atomic: its line is whole, or it never happened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[Event]:
        """All events. A line without its end is what a crash left of a write that nobody was told of: it is cut off."""
        self._create()
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(self._path, len(whole))
        return [decode(record) for line in whole.splitlines() for record in json.loads(line)]

    def _create(self) -> None:
        """The file is there before anybody relies on it, and so is its name in the folder."""
        self._path.touch()
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def append(self, events: Sequence[Event]) -> None:
        """Return when the events are on the disk."""
        with self._path.open("ab") as file:
            file.write(json.dumps([encode(event) for event in events]).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


# --- what is done --------------------------------------------------------------------------------------------------


class Account:
    """One life of an account."""

    def __init__(self, folder: Path, context: Context) -> None:
        self._log = Log(folder / f"{context.key}.jsonl")
        self._name = f"{context.key}, incarnation {context.incarnation}"
        self._balance = 0

    async def activate(self) -> None:
        events = await trio.to_thread.run_sync(self._log.load)
        for event in events:
            self._balance = apply(self._balance, event)
        print(f"  ({self._name}, replays {len(events)} events)")

    async def turn(self, batch: Sequence[Envelope[Command]]) -> None:
        """Decide on a provisional balance, write all that was decided at once, then take it over, then answer."""
        balance, events, answers = self._balance, list[Event](), list[int | Refused]()
        for envelope in batch:
            try:
                decided = decide(balance, envelope.message)
            except Refused as refusal:
                answers.append(refusal)
                continue
            for event in decided:
                balance = apply(balance, event)
            events += decided
            answers.append(balance)
        if events:
            await trio.to_thread.run_sync(self._log.append, events)
        self._balance = balance
        for envelope, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Refused):
                envelope.fail(answer)
            else:
                envelope.succeed(answer)

    async def passivate(self) -> None:
        """Nothing has to be saved: it all is."""
        await trio.lowlevel.checkpoint()

    def abandon(self) -> None:
        """Nothing is held."""


def open_bank(folder: Path) -> AbstractAsyncContextManager[Registry[Command]]:
    return open_registry(lambda context: Account(folder, context))


async def use(folder: Path, *commands: Command) -> None:
    async with open_bank(folder) as accounts:
        for command in commands:
            try:
                print(f"{command}: {await accounts.ref('ada').ask(command)}")
            except Refused as refusal:
                print(f"{command}: refused, {refusal}")


async def pay_in_and_stay(folder: Path) -> None:
    """What the process does that is killed."""
    async with open_bank(folder) as accounts:
        for _ in range(3):
            print(f"Deposit(amount=10): {await accounts.ref('ada').ask(Deposit(10))}", flush=True)
        await trio.sleep_forever()


def kill_a_bank(folder: Path) -> None:
    """Start another process, read what it acknowledges, and kill it: it has no time to save anything."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.account", str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for _ in range(4):
            print(process.stdout.readline(), end="")
        process.kill()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("An account decides by itself, and refuses what it cannot cover:")
        trio.run(use, folder, Deposit(100), Withdraw(30), Withdraw(80), Deposit(-5), Deposit(5))
        print("Another process takes deposits until it is killed (kill -9):")
        kill_a_bank(folder)
        print("Then a power failure leaves half a line of a deposit that nobody was told of:")
        with (folder / "ada.jsonl").open("ab") as file:
            file.write(b'[{"kind": "depos')
        print("Revived, the account knows all that it ever acknowledged, and nothing else:")
        trio.run(use, folder, Withdraw(106), Withdraw(105))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        trio.run(pay_in_and_stay, Path(sys.argv[1]))
    else:
        main()
