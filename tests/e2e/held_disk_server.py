"""The server on a disk whose syncs of files do not return while a file named `hold` lies beside the data folder."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from storage.descriptors import LocalAppendFile
from storage.disk import AppendFile
from storage.local_disk import LocalDisk
from storage.syncing import sync_each
from transport.app import run
from transport.config import load


class HeldFile(LocalAppendFile):
    hold: Path

    def sync(self) -> None:
        super().sync()
        while self.hold.exists():
            time.sleep(0.01)


class HeldDisk(LocalDisk):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._hold = root.parent / "hold"

    def open_append(self, path: str) -> LocalAppendFile:
        file = HeldFile(self.root / path, self._descriptors)
        file.hold = self._hold
        return file

    def sync_files(self, files: Sequence[AppendFile]) -> list[OSError | None]:
        return sync_each(files)  # by `HeldFile.sync`, and not by the kernel behind its back


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--port")
    parser.add_argument("--data")
    arguments = parser.parse_args()
    config = load({"port": arguments.port, "data": arguments.data}, {}, {}, "")
    run(config, HeldDisk(config.data))


if __name__ == "__main__":
    main()
