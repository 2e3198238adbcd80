"""`python -m tests.simulation`: many seeds, on all cores; a seed that fails prints the one command that replays it.

The last line is the seeds that were run and one hash over all of their traces, which is the same on every machine.
"""

import argparse
import faulthandler
import hashlib
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import attrs

from tests.simulation.branches import CAMPAIGN_SEEDS, RARE
from tests.simulation.run import Failure, run_seed

__all__ = ["Findings", "main", "tell"]

CHUNK_SEEDS = 5
"""Handed to a process at a time."""

HANG_SECONDS = 120.0
"""A run takes less than a second of the processor."""

WAVE_CHUNKS = 8
"""A process's share until somebody looks at the clock again."""


@attrs.define
class Findings:
    """What became of seeds, in their order, up to the first that failed."""

    digests: list[str] = attrs.field(factory=list)
    reached: Counter[str] = attrs.field(factory=Counter)
    failure: str = ""

    def add(self, more: "Findings") -> None:
        self.digests += more.digests
        self.reached += more.reached
        self.failure = more.failure

    @property
    def digest(self) -> str:
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()[:16]


def _run(seeds: range) -> Findings:
    findings = Findings()
    for seed in seeds:
        # A loop that lets nobody else run is a finding too: it says where, and ends the process.
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        try:
            trace = run_seed(seed)
        except Failure as failure:
            findings.failure = str(failure)
            return findings
        findings.digests.append(trace.digest)
        findings.reached += trace.reached
    faulthandler.cancel_dump_traceback_later()
    return findings


def _campaign(seeds: range, *, jobs: int, seconds: float, at_least: int) -> Findings:
    """Until all are run, one has failed, or the time is up and `at_least` were run."""
    deadline = time.monotonic() + seconds
    findings = Findings()
    share = CHUNK_SEEDS * WAVE_CHUNKS * jobs
    with ProcessPoolExecutor(jobs) as pool:
        for start in range(0, len(seeds), share):
            wave = seeds[start : start + share]
            chunks = [wave[at : at + CHUNK_SEEDS] for at in range(0, len(wave), CHUNK_SEEDS)]
            try:
                for found in pool.map(_run, chunks):
                    findings.add(found)
                    if found.failure:
                        return findings
            except BrokenProcessPool:
                findings.failure = f"a seed from {seeds[len(findings.digests)]} on never ends, see above"
                return findings
            if time.monotonic() > deadline and len(findings.digests) >= at_least:
                break
    return findings


def tell(first: int, findings: Findings) -> int:
    """Exit status 1 when a promise was broken or, in a campaign, a rare branch was not reached."""
    count = len(findings.digests)
    if findings.failure:
        print(findings.failure)
        print(f"replay it, with every word of its trace:  make simulate SEEDS=1 FROM={first + count} ARGS=--trace")
        return 1
    missing = [branch for branch in RARE if not findings.reached[branch]]
    for branch in RARE:
        print(f"{findings.reached[branch]:>8}  {branch}")
    if missing and count >= CAMPAIGN_SEEDS:
        print(f"never reached in {count} seeds: {', '.join(missing)}")
        return 1
    print(f"{count} seeds from {first}, hash of all their traces {findings.digest}")
    return 0


def _replay(seeds: range) -> int:
    """One after the other, every word of them printed."""
    for seed in seeds:
        try:
            trace = run_seed(seed, keeps_words=True)
        except Failure as failure:
            print("\n".join(failure.trace.words))
            traceback.print_exception(failure)
            return 1
        print("\n".join(trace.words))
        print(f"seed {seed}: hash of its trace {trace.digest}")
    return 0


def main() -> None:
    """Exit status 1 at the first broken promise."""
    parser = argparse.ArgumentParser("tests.simulation", description="A whole server on virtual time, from seeds.")
    parser.add_argument("--seeds", type=int, default=200, help="how many at most (200)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (0)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no more after this (no limit)")
    parser.add_argument("--at-least", type=int, default=0, help="so many are run however long they take (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--trace", action="store_true", help="print every word of every trace")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.trace:
        sys.exit(_replay(seeds))
    campaign = _campaign(seeds, jobs=arguments.jobs, seconds=arguments.seconds, at_least=arguments.at_least)
    sys.exit(tell(arguments.first, campaign))


if __name__ == "__main__":
    main()
