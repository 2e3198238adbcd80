"""Replacing a file as a whole, out of what every disk can do.

It lives apart from the real disk so that the simulated one performs the very same steps: a power cut between any two of
them is tested on the code that runs.
"""

from contextlib import suppress

from storage.disk import Disk

__all__ = ["replace_whole"]


def replace_whole(disk: Disk, path: str, data: bytes) -> None:
    """Have `data` under this name, durably: all of it or what was there before. Raises `OSError`.

    When the last step fails, the sync of the folder, the new file is in its place but may not survive a power cut.
    """
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.new" if folder else f".{name}.new"
    disk.remove_tree(temporary)
    try:
        _write_whole(disk, temporary, data)
        disk.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            disk.remove_tree(temporary)  # a full disk needs its bytes back
        raise
    disk.sync_folder(folder or ".")


def _write_whole(disk: Disk, path: str, data: bytes) -> None:
    file = disk.open_append(path)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()
