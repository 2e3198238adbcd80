"""Where things lie in the data folder, and which format it has. Pure but for `check_format`, which reads one file.

What lives here: names. What must not: what is done with what bears them.

format.json  lock  conversations/{id}/{events.jsonl,state.json,files/}  quarantine/  trash/
"""

import re

import orjson

from storage.disk import Disk
from storage.errors import UnknownFormat

__all__ = [
    "CONVERSATIONS",
    "FORMAT_BYTES",
    "FORMAT_PATH",
    "HALF_MADE",
    "INDEX",
    "LOCK",
    "LOG",
    "QUARANTINE",
    "STATE",
    "TRASH",
    "check_format",
    "is_conversation_id",
]

FORMAT = 1
FORMAT_PATH = "format.json"
FORMAT_BYTES = orjson.dumps({"format": FORMAT})
LOCK = "lock"
CONVERSATIONS, QUARANTINE, TRASH = "conversations", "quarantine", "trash"
LOG, STATE, INDEX = "events.jsonl", "state.json", "events.index"
HALF_MADE = ".new-"
"""Before the name of a conversation that is being created."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def is_conversation_id(name: str) -> bool:
    """Whether a folder of this name is a conversation's."""
    return _ID.fullmatch(name) is not None


def check_format(disk: Disk) -> None:
    """Raises `UnknownFormat` unless this version reads what the folder says it holds, and `OSError`."""
    found = _format(disk.read(FORMAT_PATH, 0, disk.size(FORMAT_PATH)))
    if found != FORMAT:
        told = f"a {FORMAT_PATH} that says no format" if found is None else f"format {found}"
        raise UnknownFormat(f"the data folder has {told}; this version reads format {FORMAT}")


def _format(data: bytes) -> int | None:
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    found = said.get("format") if isinstance(said, dict) else None
    return found if isinstance(found, int) else None
