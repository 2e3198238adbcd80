"""The data folder, for commands that work on it without a server.

What lives here: which folder is meant, found out as the server does, and whether it is one of ours. What must not: a
change of it; a command that finds nothing makes nothing.
"""

import argparse
import os

from storage.errors import StorageError
from storage.layout import CONVERSATIONS, FORMAT_PATH, check_format
from storage.local_disk import LocalDisk
from transport.config import load, read_toml

__all__ = ["open_folder"]


def open_folder(arguments: argparse.Namespace) -> LocalDisk:
    """Raises `ConfigError`, `UnknownFormat`, `OSError`, and `StorageError` for a folder that is not ours."""
    # Who listens where, and who may come in, is the server's business: nobody listens here.
    flags = {"data": arguments.data, "insecure": "true"}
    config = load(flags, os.environ, read_toml(arguments.config), arguments.config or "")
    if config.file_store != "local":
        raise StorageError("file_store is not `local`: there is no data folder to look at")
    if not config.data.is_dir():
        raise StorageError(f"{config.data} is not there, or no folder")
    disk = LocalDisk(config.data)
    if disk.exists(FORMAT_PATH):
        check_format(disk)
    elif not disk.exists(CONVERSATIONS):
        raise StorageError(f"{config.data} is no data folder of Greenroom's: it has no {FORMAT_PATH}")
    return disk
