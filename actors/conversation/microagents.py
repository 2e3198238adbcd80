"""The microagents of a workspace (`.openhands/microagents/*.md`), read anew each time: commands may have changed them.

What lives here: where they are and how many are read. What must not: what a file means; `agent.microagents` knows it.
"""

from functools import partial
from pathlib import Path

import structlog
import trio

from actors.agent.microagents import BadMicroagent, Microagent, parse
from storage.files import read_folder

__all__ = ["load_microagents"]

logger = structlog.get_logger(__name__)

FOLDER, SUFFIX = ".openhands/microagents", ".md"

FILES_MAX = 100
BYTES_MAX = 64 * 1024
"""Together some megabytes at the most; an instruction longer than this fits no model."""


async def load_microagents(workspace: Path, conversation_id: str) -> tuple[Microagent, ...]:
    """By name of file. One that cannot be read is named in the log and left out."""
    log = logger.bind(conversation_id=conversation_id)
    return await trio.to_thread.run_sync(partial(_load, workspace, log), abandon_on_cancel=True)


def _load(workspace: Path, log: structlog.typing.WrappedLogger) -> tuple[Microagent, ...]:
    found = read_folder(workspace, FOLDER, SUFFIX, files_max=FILES_MAX, bytes_max=BYTES_MAX)
    for name, why in found.left_out.items():
        log.warning("microagent_left_out", file=name, why=why)
    microagents = []
    for name, data in found.files.items():
        if name.lower() == "readme.md":
            continue  # it is for people
        try:
            microagents.append(parse(name.removesuffix(SUFFIX), data))
        except BadMicroagent as failure:
            log.warning("microagent_left_out", file=name, why=str(failure))
    return tuple(microagents)
