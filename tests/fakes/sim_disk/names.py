"""The names of files and folders twice over: as the running system sees them, in its cache, and as on the media.

What must not live here: what a crash keeps of it (`crash`), and what a file holds (`file`). Pure.
"""

from collections.abc import Mapping

import attrs

from storage.tree import Folder, Tree
from tests.fakes.sim_disk.file import CachedFile

__all__ = ["Names", "Namespace", "Node", "Place", "Relink"]

Node = CachedFile | Folder[CachedFile]
Place = Folder[CachedFile]
Names = dict[str, Node]


@attrs.define(eq=False)
class Relink:
    """One atomic change of names: a creation, a removal, or a rename with its two ends.

    An end is (folder, name, what was there, what is there then). It is durable once all its folders were synced.
    """

    ends: tuple[tuple[Place, str, Node | None, Node | None], ...]
    unsynced: list[Place]

    def fits(self, media: Mapping[Place, Names]) -> bool:
        """Whether each end finds what it found when it was made: what depends on a change that is lost is lost too."""
        return all(media[folder].get(name) is before for folder, name, before, _ in self.ends)

    def perform(self, media: Mapping[Place, Names]) -> None:
        for folder, name, _, after in self.ends:
            if after is None:
                media[folder].pop(name, None)
            else:
                media[folder][name] = after


class Namespace(Tree[CachedFile]):
    """`media` are the names that are durable; `relinks` are on their way there, in order, the first never durable."""

    def __init__(self) -> None:
        super().__init__()
        self.media: dict[Place, Names] = {self.root: {}}
        self.relinks: list[Relink] = []

    def relink(self, *ends: tuple[Place, str, Node | None]) -> None:
        known = tuple((folder, name, folder.entries.get(name), node) for folder, name, node in ends)
        self.relinks.append(Relink(known, list(dict.fromkeys(folder for folder, _, _ in ends))))
        super().relink(*ends)

    def put(self, path: str, node: Node) -> None:
        """Have it there from the beginning, durably."""
        folder, name = self.place(path)
        super().relink((folder, name, node))
        self.media[folder][name] = node
        if isinstance(node, Folder):
            self.media[node] = {}

    def sync(self, folder: Place) -> None:
        """The changes of names in it are durable, where no other folder is missing."""
        for change in self.relinks:
            change.unsynced = [other for other in change.unsynced if other is not folder]
        while self.relinks and not self.relinks[0].unsynced:
            change = self.relinks.pop(0)
            for place, *_ in change.ends:
                self.media.setdefault(place, {})
            change.perform(self.media)
