"""The examples run by one command, print what they print, and end by themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

COUNTER = """\
A reference names a counter. It is brought to life by its first command:
  apples wakes (incarnation 1) at 0
apples + 3 = 3
Who does not wait for an answer tells. Nothing is overtaken, and counters do not share anything:
  pears wakes (incarnation 2) at 0
pears + 10 = 10
apples + 0 = 7
An idle counter leaves memory, and the next command brings it back:
  apples falls asleep at 7
  apples wakes (incarnation 3) at 7
apples + 1 = 8
A crash is answered and takes nobody else along. Commands wait for the restart:
apples: the command crashed its actor and had no effect
  apples wakes (incarnation 4) at 7
apples + 0 = 7 (what was counted since it last slept is gone)
pears + 0 = 10
dead letters: {'crashed': 1}
  pears falls asleep at 10
At the end of the block whoever is awake falls asleep:
  apples falls asleep at 7
on the shelf: {'apples': 7, 'pears': 10}
"""
ACCOUNT = """\
An account decides by itself, and refuses what it cannot cover:
  (ada, incarnation 1, replays 0 events)
Deposit(amount=100): 100
Withdraw(amount=30): 70
Withdraw(amount=80): refused, 80 is more than the 70 that there are
Deposit(amount=-5): refused, -5 is no amount
Deposit(amount=5): 75
Another process takes deposits until it is killed (kill -9):
  (ada, incarnation 1, replays 3 events)
Deposit(amount=10): 85
Deposit(amount=10): 95
Deposit(amount=10): 105
Then a power failure leaves half a line of a deposit that nobody was told of:
Revived, the account knows all that it ever acknowledged, and nothing else:
  (ada, incarnation 1, replays 6 events)
Withdraw(amount=106): refused, 106 is more than the 105 that there are
Withdraw(amount=105): 0
"""


@pytest.mark.wallclock
@pytest.mark.parametrize(("name", "printed"), [("counter", COUNTER), ("account", ACCOUNT)])
def test_an_example_prints_what_it_shows_and_ends(name: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == printed
    assert "Traceback" not in done.stderr
