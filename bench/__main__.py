"""`python -m bench [NAME] [OPTIONS]`: run one bench and print what came out, with its settings and raw baseline.

What lives here: which benches there are, and where each lives. A bench is a module with `SUMMARY`, `add_arguments`
and `run(arguments, folder)`; only the one that is asked for is imported.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import trio

from bench.client import ClientError
from bench.report import first_failure
from bench.servers import ServerError

BENCHES = {
    "round-trip": "bench.live",
    "fanout": "bench.fanout",
    "stalled": "bench.stalled",
    "replay": "bench.replay",
    "reconnect": "bench.reconnect",
    "idle": "bench.idle",
    "known": "bench.known",
    "actors": "bench.micro.actors",
    "append": "bench.micro.append",
    "commit": "bench.micro.commit",
    "revival": "bench.micro.revival",
    "reading": "bench.micro.reading",
}
"""By name, the module of each; the first is the one when none is named."""


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 1 and one line when a server or the disk fails."""
    name, options = _chosen(list(sys.argv[1:] if argv is None else argv))
    bench = import_module(BENCHES[name])
    parser = argparse.ArgumentParser(
        f"bench {name}", description=bench.SUMMARY, epilog=f"benches: {', '.join(BENCHES)}"
    )
    parser.add_argument("--folder", help="where the data lie: on the disk that is to be measured")
    bench.add_arguments(parser)
    arguments = parser.parse_args(options)
    try:
        with tempfile.TemporaryDirectory(prefix="greenroom-bench-", dir=arguments.folder) as folder:
            trio.run(bench.run, arguments, Path(folder))
    except* (ClientError, ServerError, trio.TooSlowError, OSError) as failures:
        sys.exit(f"bench: {first_failure(failures)}")


def _chosen(words: list[str]) -> tuple[str, list[str]]:
    if not words or words[0].startswith("-"):
        return next(iter(BENCHES)), words
    if words[0] not in BENCHES:
        sys.exit(f"bench: there is no bench {words[0]!r}; there are {', '.join(BENCHES)}")
    return words[0], words[1:]


if __name__ == "__main__":
    main()
