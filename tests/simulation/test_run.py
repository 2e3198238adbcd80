"""Seeds pass, the same seed is the same run, and who breaks a promise is told with the command that shows it again."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.__main__ import Findings, tell
from tests.simulation.branches import CAMPAIGN_SEEDS, RARE
from tests.simulation.run import run_seed

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_goes_wrong_every_promise_is_kept(seed: int) -> None:
    assert run_seed(seed).digest


def test_the_same_seed_is_the_same_run() -> None:
    first, second = run_seed(3, keeps_words=True), run_seed(3, keeps_words=True)
    assert first.words == second.words
    assert first.digest == second.digest
    assert run_seed(4).digest != first.digest


@pytest.mark.wallclock
def test_the_same_seed_is_the_same_run_in_another_process() -> None:
    answers = [
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seeds", "6", "--jobs", jobs],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": jobs},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for jobs in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert answers[0].startswith("6 seeds from 0, hash of all their traces ")


def test_a_broken_promise_is_told_with_the_one_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(40, Findings(["a", "b"], Counter(), "seed 42: something was lost")) == 1
    assert capsys.readouterr().out.splitlines() == [
        "seed 42: something was lost",
        "replay it, with every word of its trace:  make simulate SEEDS=1 FROM=42 ARGS=--trace",
    ]


def test_a_campaign_that_never_reaches_a_rare_branch_fails(capsys: pytest.CaptureFixture[str]) -> None:
    everything = Counter(dict.fromkeys(RARE, 1))
    digests = ["a"] * CAMPAIGN_SEEDS
    assert tell(0, Findings(digests, everything)) == 0
    rarest = RARE[-1]
    del everything[rarest]
    assert tell(0, Findings(digests, everything)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"never reached in {CAMPAIGN_SEEDS} seeds: {rarest}"
    assert tell(0, Findings(digests[1:], everything)) == 0
