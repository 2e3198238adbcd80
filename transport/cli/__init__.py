"""The `greenroom` command. Errors are one line on stderr and an exit status: 1, or 2 for how it was called.

For `verify` and `repair` 1 is an answer, and 2 is said of whatever kept them from giving one.

What lives here: what may be typed. What must not: what it does; that is imported when it is wanted, since nobody waits
for a server's modules to read `--help`.
"""

import argparse
import gc
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import attrs

from storage.errors import StorageError
from transport.config import ConfigError, load, read_toml

__all__ = ["main"]

NAME = "greenroom"

_VERIFY = """Read every record of every log, decode and replay its events, hold state.json against them, and look at
the rest of the data folder. Nothing is changed and nothing is locked: a server may run meanwhile. Exit status: 0 all
good, 1 damage found, 2 could not be run."""

_PS = """Show the conversations of a running server of which something is in memory: those first that have failed, that
have crashed and wait to be started again, whose turn takes long, whose oldest command waits long. Nobody notices."""

_EXPLAIN = """Say why a conversation is in its status, who holds it, what it waits for, what comes next and when, and
what you can do. It need not be in memory, and is not brought there."""

_REPAIR = """Show what of a damaged log would be lost, ask, keep the damaged file in quarantine/, and leave the events
before the damage with one that says what was done. With a server on the data folder, --url has the server do it.
Exit status: 0 repaired or nothing to repair, 1 left as it was, 2 could not be run."""


def main() -> None:
    """Run the command line."""
    arguments = _parser().parse_args()
    try:
        status = arguments.run(arguments)
    except (ConfigError, StorageError, OSError) as failure:
        _fail(failure, arguments.could_not_run)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(status)


def _fail(failure: Exception, status: int) -> NoReturn:
    print(f"{NAME}: {_said(failure)}", file=sys.stderr)
    sys.exit(status)


def _said(failure: Exception) -> str:
    """What went wrong, without the system's numbers."""
    if isinstance(failure, OSError) and failure.strerror:
        return f"{failure.filename}: {failure.strerror}" if failure.filename else failure.strerror
    return str(failure)


def _called_as() -> str:
    """How this program is typed here: what `make run` sets up is not on the PATH."""
    return sys.argv[0] if Path(sys.argv[0]).name == NAME and not shutil.which(NAME) else NAME


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(NAME, description="A conversation server for AI agents.")
    parser.set_defaults(could_not_run=1)
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="start the server")
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (3000)")
    serve.add_argument("--path-prefix", metavar="PATH", help="path below which a proxy shows the server, as /greenroom")
    serve.add_argument("--data", metavar="DIR", help="data folder (~/.greenroom)")
    serve.add_argument("--config", metavar="FILE", help="TOML file")
    serve.add_argument(
        "--insecure", action="store_const", const="true", help="let everybody in, also on an address that others reach"
    )
    serve.set_defaults(run=_serve)
    chat = commands.add_parser("chat", help="talk to an agent from the terminal")
    _add_server(chat)
    chat.add_argument("--conversation", metavar="ID", help="resume this one instead of creating one")
    chat.set_defaults(run=_chat)
    ps = commands.add_parser("ps", help="who is in memory, who is in trouble, and what each is at", description=_PS)
    ps.add_argument("--all", action="store_true", help="not only those that a screen holds")
    ps.add_argument("--json", action="store_true", help="say it as one JSON object")
    _add_server(ps)
    ps.set_defaults(run=_ps)
    explain = commands.add_parser("explain", help="why a conversation is as it is", description=_EXPLAIN)
    explain.add_argument("conversation", metavar="CONVERSATION", help="its id")
    explain.add_argument("--json", action="store_true", help="say it as one JSON object")
    _add_server(explain)
    explain.set_defaults(run=_explain)
    verify = commands.add_parser("verify", help="read everything, say what is damaged", description=_VERIFY)
    verify.add_argument("conversations", nargs="*", metavar="CONVERSATION", help="look at these only")
    verify.add_argument("--all", action="store_true", help="look at everything, as without any CONVERSATION")
    verify.add_argument("--json", action="store_true", help="say it as one JSON object")
    _add_folder(verify)
    verify.set_defaults(run=_verify, could_not_run=2, fail=verify.error)
    repair = commands.add_parser("repair", help="cut a damaged log before its damage", description=_REPAIR)
    repair.add_argument("conversation", metavar="CONVERSATION", help="its id")
    repair.add_argument("--yes", action="store_true", help="do not ask")
    _add_folder(repair)
    repair.add_argument("--url", help="of the server that runs on the data folder; it does the repair")
    repair.add_argument("--key", help="of that server; better in SESSION_API_KEY")
    repair.set_defaults(run=_repair, could_not_run=2, fail=repair.error)
    return parser


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default="http://127.0.0.1:3000", help="of the server (http://127.0.0.1:3000)")
    parser.add_argument("--key", help="of the server; better in SESSION_API_KEY, which no list of processes shows")


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="data folder (~/.greenroom)")
    parser.add_argument("--config", metavar="FILE", help="TOML file, where the server is started with one")


def _serve(arguments: argparse.Namespace) -> None:
    flags = {name: getattr(arguments, name) for name in ("host", "port", "path_prefix", "data", "insecure")}
    config = load(flags, os.environ, read_toml(arguments.config), arguments.config or "")
    # What a start makes stays: to look for garbage in it takes a tenth of the start. `run` ends this.
    gc.disable()
    from actors.runtime import Escalated
    from transport.app import run

    try:
        file = Path(arguments.config) if arguments.config else None
        run(attrs.evolve(config, file=file), command=_called_as())
    except Escalated as failure:
        _fail(failure, arguments.could_not_run)


def _chat(arguments: argparse.Namespace) -> None:
    from transport.cli.chat import chat

    key = arguments.key or os.environ.get("SESSION_API_KEY")
    chat(arguments.url, arguments.conversation, key, command=_called_as())


def _ps(arguments: argparse.Namespace) -> None:
    from transport.cli.inside import ps

    ps(arguments)


def _explain(arguments: argparse.Namespace) -> None:
    from transport.cli.inside import explain

    explain(arguments)


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.all and arguments.conversations:
        arguments.fail("--all looks at everything: name no CONVERSATION with it")
    from transport.cli.verify import verify

    return verify(arguments)


def _repair(arguments: argparse.Namespace) -> int:
    if arguments.url is not None and (arguments.data or arguments.config):
        arguments.fail("--url is for a server's own folder: give no --data and no --config with it")
    from transport.cli.repair import repair

    return repair(arguments)
