"""`greenroom ps` and `greenroom explain`: what goes on inside a running server.

What lives here: the two questions, and what is printed. What must not: the sentences (`explained`) and the table
(`listed`), so that they can be read and tested alone.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from transport.cli.explained import lines
from transport.cli.listed import table
from transport.cli.server import ServerError, WrongKey, address, ask_server, key_headers
from transport.cli.words import count

__all__ = ["explain", "ps"]

SHOWN = 40
"""More than a screen holds; who is in trouble stands first."""

EVERYBODY = 10_000
"""As many as a server shows at once."""


def ps(arguments: argparse.Namespace) -> None:
    """Print who is in memory. Raises `ServerError`."""
    limit = EVERYBODY if arguments.all else SHOWN
    found = _ask(arguments, f"/api/admin/actors?limit={limit}")
    _print(arguments, found, _listing)


def _listing(found: Mapping[str, Any], _: str) -> Iterator[str]:
    yield from table(found["actors"])
    more = f"; {found['more']:,} more (--all)" if found["more"] else ""
    places = found["places"]
    taken = places["busy"] + places["idle"]
    yield ""
    yield (
        f"{count(len(found['actors']), 'conversation')}{more}. Places for run-times: {taken:,} of "
        f"{places['places_max']:,} taken, {places['busy']:,} by who is busy."
    )


def explain(arguments: argparse.Namespace) -> None:
    """Print why a conversation is as it is. Raises `ServerError`."""
    path = f"/api/admin/actors/{quote(arguments.conversation, safe='')}"
    try:
        found = _ask(arguments, path)
    except ServerError as failure:
        if failure.code == "not_found":
            raise ServerError(f"there is no conversation {arguments.conversation}", failure.code) from failure
        raise
    _print(arguments, found, lambda found, url: lines(found["conversation"], found["explanation"], url))


def _ask(arguments: argparse.Namespace, path: str) -> dict[str, Any]:
    url = address(arguments.url)
    headers = key_headers(arguments.key or os.environ.get("SESSION_API_KEY"))
    try:
        return ask_server(url, "GET", path, headers=headers)
    except WrongKey:
        raise
    except ServerError as failure:
        raise ServerError(f"no answer from {url}: {failure}", failure.code) from failure


def _print(
    arguments: argparse.Namespace, found: dict[str, Any], words: Callable[[Mapping[str, Any], str], Iterator[str]]
) -> None:
    print(json.dumps(found) if arguments.json else "\n".join(words(found, address(arguments.url))))
