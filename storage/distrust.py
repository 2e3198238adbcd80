"""What is held against the files of logs: bytes that may be on no disk, and damage that was met (K15, K16). Pure.

A failed sync leaves pages that look clean and may be on no disk; so does a process that was killed between its write
and its sync, for the next one. What lives here: which logs that concerns. What must not: mending; opening does that.
"""

from collections.abc import Iterable

import attrs

__all__ = ["FAILED_SYNCS_MAX", "Distrust", "Doubt"]

FAILED_SYNCS_MAX = 3
"""Of one log, in a row: then it is the disk, and trying again only hides that (K15)."""


@attrs.frozen
class Doubt:
    """`next_id`: every event below was acknowledged in this process. `is_stale`: what is read may be on no disk.

    `failed_syncs` in a row.
    """

    next_id: int = 0
    is_stale: bool = False
    is_damaged: bool = False
    failed_syncs: int = 0


NO_DOUBT = Doubt()


class Distrust:
    """By path of the log. `inherited`: the process before this one did not end in peace, so that every log is to be
    looked at once in what the media have of it."""

    def __init__(self, *, inherited: bool = False) -> None:
        self._inherited = inherited
        self._seen: set[str] = set()
        self._doubts: dict[str, Doubt] = {}

    def is_to_be_inherited(self, paths: Iterable[str]) -> bool:
        """Whether the next process has to look at the media, too; `paths` are those of all logs."""
        if any(doubt.is_stale for doubt in self._doubts.values()):
            return True
        return self._inherited and any(path not in self._seen for path in paths)

    def __contains__(self, path: str) -> bool:
        return path in self._doubts

    def of(self, path: str) -> Doubt:
        return self._doubts.get(path, NO_DOUBT)

    def sync_failed(self, path: str, next_id: int) -> None:
        doubt = self.of(path)
        self._doubts[path] = attrs.evolve(
            doubt, next_id=max(next_id, doubt.next_id), is_stale=True, failed_syncs=doubt.failed_syncs + 1
        )

    def met_damage(self, path: str, next_id: int) -> None:
        doubt = self.of(path)
        self._doubts[path] = attrs.evolve(doubt, next_id=max(next_id, doubt.next_id), is_damaged=True)

    def moved(self, path: str) -> None:
        """It is a fresh file now, on the disk. What failed before is still counted."""
        self._doubts[path] = attrs.evolve(self.of(path), is_stale=False)

    def give_one_more_try(self, path: str) -> None:
        """After somebody asked for it: one more failed sync is one too many again."""
        self._doubts[path] = attrs.evolve(self.of(path), failed_syncs=FAILED_SYNCS_MAX - 1)

    def synced(self, path: str) -> None:
        """An append became durable."""
        self._doubts.pop(path, None)

    def forget(self, path: str) -> None:
        """The log is gone."""
        self._doubts.pop(path, None)

    def is_first_look(self, path: str) -> bool:
        """Whether this process has not yet seen what the media have of it, and must."""
        return self._inherited and path not in self._seen

    def looked(self, path: str) -> None:
        self._seen.add(path)
