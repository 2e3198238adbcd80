"""Files and folders in memory, and what POSIX allows to be done with their names.

It is what the disk in memory is made of, and the simulated one of the tests, so that both refuse what the real disk
refuses. What must not live here: locks, time, and what becomes of a file's bytes.
"""

import errno
import os
from collections.abc import Iterable
from typing import Generic, TypeVar

import attrs

__all__ = ["File", "Folder", "Tree", "error"]


def error(code: int, path: str) -> OSError:
    """What the operating system would raise."""
    return OSError(code, os.strerror(code), path)


@attrs.define(eq=False)
class File:
    """`modified_at` is in seconds since the epoch."""

    data: bytearray = attrs.field(factory=bytearray, kw_only=True)
    modified_at: float = attrs.field(kw_only=True)


F = TypeVar("F", bound=File)


@attrs.define(eq=False)
class Folder(Generic[F]):
    """What is directly below it, by name."""

    modified_at: float
    entries: "dict[str, F | Folder[F]]" = attrs.field(factory=dict)


class Tree(Generic[F]):
    """All below one folder. Paths that lead nowhere raise `OSError` as open(2), mkdir(2), rename(2) and rmdir(2) do."""

    def __init__(self) -> None:
        self.root: Folder[F] = Folder(0.0)

    def relink(self, *ends: tuple[Folder[F], str, F | Folder[F] | None]) -> None:
        """Have each name in its folder stand for that node, or for none, all at once."""
        for folder, name, node in ends:
            if node is None:
                del folder.entries[name]
            else:
                folder.entries[name] = node

    def node(self, path: str) -> F | Folder[F]:
        node: F | Folder[F] = self.root
        for part in _parts(path):
            if not isinstance(node, Folder):
                raise error(errno.ENOTDIR, path)
            if part not in node.entries:
                raise error(errno.ENOENT, path)
            node = node.entries[part]
        return node

    def folder(self, path: str) -> Folder[F]:
        node = self.node(path)
        if not isinstance(node, Folder):
            raise error(errno.ENOTDIR, path)
        return node

    def file(self, path: str) -> F:
        node = self.node(path)
        if isinstance(node, Folder):
            raise error(errno.EISDIR, path)
        return node

    def exists(self, path: str) -> bool:
        try:
            self.node(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def place(self, path: str) -> tuple[Folder[F], str]:
        """The folder that has the name or could have it, and the name."""
        *above, name = _parts(path)
        return self.folder("/".join(above)), name

    def missing(self, path: str) -> list[str]:
        """The folders that must be made for this one to be there, the outermost first."""
        parts = _parts(path)
        paths = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        missing = [each for each in paths if not self.exists(each)]
        there = paths[-len(missing) - 1] if len(missing) < len(paths) else ""
        if not isinstance(self.node(there), Folder):
            raise error(errno.EEXIST if there == paths[-1] else errno.ENOTDIR, path)
        return missing

    def rename(self, source: str, target: str) -> None:
        (old, old_name), (new, new_name) = self.place(source), self.place(target)
        node = self.node(source)
        there = new.entries.get(new_name)
        if there is node:
            return
        if isinstance(node, Folder) and f"{target}/".startswith(f"{source}/"):
            raise error(errno.EINVAL, target)
        if f"{source}/".startswith(f"{target}/"):
            raise error(errno.ENOTEMPTY, target)
        if there is not None:
            _allow_over(there, node, target)
        self.relink((old, old_name, None), (new, new_name, node))

    def below(self, path: str) -> list[str]:
        """The path and all paths below it, what is inside before what it is in; empty when it is gone."""
        try:
            node = self.node(path)
        except FileNotFoundError:
            return []
        names = sorted(node.entries) if isinstance(node, Folder) else []
        return [found for name in names for found in self.below(f"{path}/{name}")] + [path]

    def unlink(self, path: str) -> None:
        folder, name = self.place(path)
        self.relink((folder, name, None))

    def files(self) -> Iterable[F]:
        """Every file that has a name."""
        folders = [self.root]
        while folders:
            for node in folders.pop().entries.values():
                if isinstance(node, Folder):
                    folders.append(node)
                else:
                    yield node


def _allow_over(there: File | Folder[F], node: File | Folder[F], target: str) -> None:
    if isinstance(there, Folder) and isinstance(node, File):
        raise error(errno.EISDIR, target)
    if isinstance(there, File) and isinstance(node, Folder):
        raise error(errno.ENOTDIR, target)
    if isinstance(there, Folder) and there.entries:
        raise error(errno.ENOTEMPTY, target)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
