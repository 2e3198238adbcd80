"""The `greenroom` command. Errors are one line on stderr and an exit status: 1, or 2 for how it was called."""

import argparse
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import attrs

from storage.errors import StorageError
from transport.config import ConfigError, load

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except (ConfigError, StorageError, OSError) as failure:
        _fail(failure)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(failure: Exception) -> NoReturn:
    print(f"greenroom: {failure}", file=sys.stderr)
    sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("greenroom", description="A conversation server for AI agents.")
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="start the server")
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (3000)")
    serve.add_argument("--data", metavar="DIR", help="data folder (~/.greenroom)")
    serve.add_argument("--config", metavar="FILE", help="TOML file")
    serve.add_argument(
        "--insecure", action="store_const", const="true", help="let everybody in, also on an address that others reach"
    )
    serve.set_defaults(run=_serve)
    chat = commands.add_parser("chat", help="talk to an agent from the terminal")
    chat.add_argument("--url", default="http://127.0.0.1:3000", help="of the server")
    chat.add_argument("--conversation", metavar="ID", help="resume this one instead of creating one")
    chat.add_argument("--key", help="of the server; better in SESSION_API_KEY, which no list of processes shows")
    chat.set_defaults(run=_chat)
    return parser


def _serve(arguments: argparse.Namespace) -> None:
    flags = {name: getattr(arguments, name) for name in ("host", "port", "data", "insecure")}
    config = load(flags, os.environ, _toml(arguments.config), arguments.config or "")
    from actors.runtime import Escalated
    from transport.app import run

    try:
        run(attrs.evolve(config, file=Path(arguments.config) if arguments.config else None))
    except Escalated as failure:
        _fail(failure)


def _toml(path: str | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ConfigError(f"file {path} is not TOML: {failure}") from failure


def _chat(arguments: argparse.Namespace) -> None:
    from transport.cli.chat import chat

    chat(arguments.url, arguments.conversation, arguments.key or os.environ.get("SESSION_API_KEY"))
