"""Looking through a data folder without changing it, also beside the server that uses it.

What lives here: every log read from its first byte to its last, and `state.json` held against it. What must not: a
change of anything, a lock, or the meaning of an event; whoever knows that brings a `Witness`. The rest of the folder
is gone through in `surroundings`.

A server may write meanwhile: an end looks torn while its bytes are on their way, and a write that failed is cut back
under the reader's eyes. So whatever looks damaged is looked at once more, at the end. If it is as it was, it is
damage; if it has changed, somebody writes there, and the log is read again from its beginning.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import attrs

from storage import snapshot as snapshots
from storage.disk import Disk
from storage.findings import Code, Finding
from storage.layout import CONVERSATIONS, LOG, STATE, is_conversation_id
from storage.record import Anchor, Damage
from storage.snapshot import Snapshot
from storage.surroundings import strays
from storage.walk import Located, LogWalk

__all__ = ["Checked", "Witness", "conversations_of", "verify"]

LOOK_BYTES = 1024 * 1024
"""So much of what looks damaged is remembered, as a checksum, to see whether it changes."""


class Witness(Protocol):
    """Knows what the events of one conversation mean. Made for one walk through its log."""

    @property
    def unknown_events(self) -> int:
        """So many were kept and not understood (K19)."""

    def objection(self, event_id: int, payload: bytes) -> str:
        """Why the next event of the log makes no sense; empty when it does."""

    def differs(self, document: object) -> str | None:
        """What a snapshot's document says otherwise than the events so far; empty when nothing, None when it does
        not fit this version and so is not believed."""


@attrs.frozen
class Checked:
    """What there is to say of one conversation. `events` can be read; the log has `size_bytes`."""

    conversation_id: str
    events: int = 0
    size_bytes: int = 0
    unknown_events: int = 0
    findings: tuple[Finding, ...] = ()
    looks: tuple[int, int] | None = attrs.field(default=None, repr=False)

    @property
    def is_damaged(self) -> bool:
        return any(finding.code.is_damage for finding in self.findings)


def conversations_of(disk: Disk) -> list[str]:
    """The ids of all conversations, whatever state they are in. Raises `OSError`."""
    if not disk.exists(CONVERSATIONS):
        return []
    return [name for name in disk.list_folder(CONVERSATIONS) if is_conversation_id(name)]


def verify(
    disk: Disk,
    conversation_ids: Iterable[str],
    witness: Callable[[], Witness],
    *,
    told: Callable[[int], None],
    pause: Callable[[], None],
) -> Iterator[Checked]:
    """Each conversation, the doubtful ones at the end, after a `pause` in which a write would go on.

    One that is deleted meanwhile is left out. `told` is handed the bytes of each piece that was read.
    """
    doubtful = []
    for conversation_id in conversation_ids:
        checked = _check(disk, conversation_id, witness(), told)
        if checked.is_damaged:
            doubtful.append(checked)
        else:
            yield checked
    if doubtful:
        pause()
    for checked in doubtful:
        if disk.exists(f"{CONVERSATIONS}/{checked.conversation_id}"):
            yield _look_again(disk, checked, witness)


def _look_again(disk: Disk, before: Checked, witness: Callable[[], Witness]) -> Checked:
    path = f"{CONVERSATIONS}/{before.conversation_id}/{LOG}"
    if before.looks is None or _looks(disk, path, before.looks[0]) == before.looks:
        return before
    checked = _check(disk, before.conversation_id, witness(), lambda _: None)
    findings = tuple(map(_as_being_written, checked.findings))
    return attrs.evolve(checked, findings=findings)


def _as_being_written(finding: Finding) -> Finding:
    if finding.code is not Code.LOG_TORN:
        return finding
    return attrs.evolve(finding, code=Code.BEING_WRITTEN, why="an append is under way")


def _looks(disk: Disk, path: str, start: int) -> tuple[int, int] | None:
    """Where the good part ends, and a checksum of what follows and how much it is."""
    try:
        size = disk.size(path)
        return start, zlib.crc32(disk.read(path, start, start + LOOK_BYTES), size)
    except OSError:
        return None


def _check(disk: Disk, conversation_id: str, witness: Witness, told: Callable[[int], None]) -> Checked:
    path = f"{CONVERSATIONS}/{conversation_id}/{LOG}"
    if not disk.exists(path):
        missing = Finding(Code.LOG_MISSING, path, "the file is missing", conversation_id, 0, 0, 0, 0)
        return Checked(conversation_id, findings=(missing, *strays(disk, conversation_id)))
    try:
        return _Check(disk, conversation_id, path, witness, told).run()
    except OSError as failure:
        unreadable = Finding(Code.UNREADABLE, path, str(failure), conversation_id)
        return Checked(conversation_id, findings=(unreadable,))


class _Check:
    """One walk through one log."""

    def __init__(
        self, disk: Disk, conversation_id: str, path: str, witness: Witness, told: Callable[[int], None]
    ) -> None:
        self._disk = disk
        self._id = conversation_id
        self._path = path
        self._witness = witness
        self._walk = LogWalk(disk, path, told)
        self._state_path = f"{CONVERSATIONS}/{conversation_id}/{STATE}"
        # Before the log: whatever it knows was durable by then, and so is there when the log is read.
        self._snapshot = snapshots.load(disk, self._state_path)
        self._findings: list[Finding] = []
        self._is_corrupt = False

    def run(self) -> Checked:
        self._read_events()
        self._look_behind()
        self._look_at_snapshot()
        good_bytes = self._walk.good_bytes
        self._findings += strays(self._disk, self._id)
        return Checked(
            self._id,
            self._walk.next_id,
            self._disk.size(self._path),
            self._witness.unknown_events,
            tuple(self._findings),
            _looks(self._disk, self._path, good_bytes) if self._findings else None,
        )

    def _read_events(self) -> None:
        is_readable = True
        for batch in self._walk.batches():
            for located in batch:
                record = located.record
                why = self._witness.objection(record.id, record.event) if is_readable else ""
                if why:
                    # What follows it cannot be judged: replay stops here.
                    is_readable = False
                    place = Damage(located.offset, record.id, why)
                    self._add(Code.EVENT_UNREADABLE, place, before=record.id)
                if self._snapshot is not None and self._snapshot.anchor is not None:
                    self._compare(self._snapshot, self._snapshot.anchor, located, is_readable=is_readable)

    def _compare(self, snapshot: Snapshot, anchor: Anchor, located: Located, *, is_readable: bool) -> None:
        if located.record.id != snapshot.position:
            return
        if located.anchor != anchor:
            why = f"{STATE} was made at another record with this id"
            self._add(Code.LOG_SHORT, Damage(located.offset, snapshot.position, why), before=snapshot.position)
            return
        differs = self._witness.differs(snapshot.document) if is_readable else ""
        if differs is None:
            self._tell_snapshot(Code.SNAPSHOT_IGNORED, "it was made by another version")
        elif differs:
            why = f"replay gives another state at event {snapshot.position}: {differs}"
            self._tell_snapshot(Code.SNAPSHOT_WRONG, why)

    def _look_behind(self) -> None:
        walk = self._walk
        if not walk.is_torn:
            return
        behind = 0
        for located in walk.behind():
            behind += 1
            self._is_corrupt = self._is_corrupt or walk.is_later(located.record)
        place = walk.stop or Damage(walk.good_bytes, walk.next_id, "the last batch has no end")
        self._add(Code.LOG_CORRUPT if self._is_corrupt else Code.LOG_TORN, place, before=walk.next_id, behind=behind)

    def _look_at_snapshot(self) -> None:
        next_id = self._walk.next_id
        if self._snapshot is None:
            if self._disk.exists(self._state_path):
                self._tell_snapshot(Code.SNAPSHOT_IGNORED, "it is damaged, or from a newer version")
        elif self._snapshot.position >= next_id and not self._is_corrupt:
            why = f"{STATE} was made at event {self._snapshot.position}, and the log ends before it"
            self._add(Code.LOG_SHORT, Damage(self._walk.good_bytes, next_id, why), before=next_id)

    def _add(self, code: Code, place: Damage, *, before: int, behind: int | None = None) -> None:
        finding = Finding(code, self._path, place.why, self._id, place.event_id, place.offset, before, behind)
        self._findings.append(finding)

    def _tell_snapshot(self, code: Code, why: str) -> None:
        self._findings.append(Finding(code, self._state_path, why, self._id))
