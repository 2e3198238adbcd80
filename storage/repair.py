"""Cutting a damaged log before its damage, on an operator's word (K16): what would be lost, and the steps.

What lives here: `examine`, which changes nothing, and `repair`, each step of which leaves the damaged log as it was, or
the mended one, whole; whoever is interrupted begins again. What must not: the question to the operator, or the meaning
of an event. The caller holds the store's lock, and sees to it that nobody has the log open.

The ids of a log are dense, so nothing behind the damage can stay in it, however whole it is. It stays in the damaged
file, which is kept aside as it was, and never written to again.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count

import attrs

from storage import snapshot as snapshots
from storage.disk import Disk
from storage.errors import NothingToRepair, StorageDegraded, StorageError
from storage.findings import Code
from storage.layout import CONVERSATIONS, INDEX, LOG, QUARANTINE, STATE
from storage.record import Damage, encode_batch
from storage.snapshot import Snapshot
from storage.walk import PIECE_BYTES, Located, LogWalk, pieces

__all__ = ["Cut", "examine", "repair"]

CACHES = (STATE, INDEX)
"""Of the log that was: what they say of it is not true of the mended one."""

FRESH, PART = ".events.jsonl.new", ".part"
"""What a crash in the middle leaves; the next repair begins with removing it."""


@attrs.frozen
class Cut:
    """What is to be cut off a log. `keep_events` stay, in `keep_bytes` bytes; `cut_bytes` go, and the whole file as it
    was is kept as `quarantine` (empty where nothing is cut).

    `lost_until` is the highest id that is known to be lost, if any is. `acknowledged`: somebody may have been told of
    what is lost (K16). `epoch` is for what is written next (K3). `snapshot` is the last one taken, if any.
    """

    conversation_id: str
    code: Code
    place: Damage
    keep_events: int = 0
    keep_bytes: int = 0
    cut_bytes: int = 0
    quarantine: str = ""
    lost_until: int | None = None
    acknowledged: bool = False
    epoch: int = 1
    snapshot: Snapshot | None = attrs.field(default=None, repr=False)

    @property
    def path(self) -> str:
        """Of the log."""
        return f"{CONVERSATIONS}/{self.conversation_id}/{LOG}"


def examine(disk: Disk, conversation_id: str, lost: Callable[[Located], None]) -> Cut:
    """What would be cut off this conversation's log; `lost` is handed every record that is whole and would go.

    Raises `NothingToRepair` for a log that is whole, and `OSError`.
    """
    folder = f"{CONVERSATIONS}/{conversation_id}"
    path, snapshot = f"{folder}/{LOG}", snapshots.load(disk, f"{folder}/{STATE}")
    known_until = -1 if snapshot is None else snapshot.position
    epoch = 0 if snapshot is None or snapshot.anchor is None else snapshot.anchor.epoch
    if not disk.exists(path):
        return Cut(
            conversation_id,
            Code.LOG_MISSING,
            Damage(0, 0, "the file is missing"),
            lost_until=None if snapshot is None else known_until,
            acknowledged=True,
            epoch=epoch + 1,
            snapshot=snapshot,
        )
    walk = LogWalk(disk, path)
    for _ in walk.batches():
        pass
    is_short = snapshot is not None and _has_lost(disk, path, snapshot, walk)
    if not walk.is_torn and not is_short:
        raise NothingToRepair(f"nothing is wrong with the log: {walk.next_id} events, to its last byte")
    code = Code.LOG_TORN if walk.is_torn else Code.LOG_SHORT
    for located in walk.behind():
        lost(located)
        known_until = max(known_until, located.record.id)
        if walk.is_later(located.record):
            code = Code.LOG_CORRUPT
    cut_bytes = disk.size(path) - walk.good_bytes
    return Cut(
        conversation_id,
        code,
        walk.stop or Damage(walk.good_bytes, walk.next_id, _WHY[code]),
        keep_events=walk.next_id,
        keep_bytes=walk.good_bytes,
        cut_bytes=cut_bytes,
        quarantine=_free_name(disk, path, walk.epoch_max) if cut_bytes else "",
        lost_until=known_until if known_until >= walk.next_id else None,
        acknowledged=is_short or code is Code.LOG_CORRUPT,
        epoch=max(walk.epoch_max, epoch) + 1,
        snapshot=snapshot,
    )


def _has_lost(disk: Disk, path: str, snapshot: Snapshot, walk: LogWalk) -> bool:
    """Whether the good part is without the record that the snapshot was made at."""
    anchor = snapshot.anchor
    if snapshot.position >= walk.next_id or anchor is None:
        return snapshot.position >= walk.next_id
    return not anchor.holds(disk.read(path, anchor.start, anchor.end))


_WHY = {
    Code.LOG_TORN: "the last batch has no end",
    Code.LOG_SHORT: f"the log has not what {STATE} knows of",
}


def _free_name(disk: Disk, path: str, epoch: int) -> str:
    prefix = f"{path.replace('/', '-')}-{epoch}-whole-"
    names = disk.list_folder(QUARANTINE) if disk.exists(QUARANTINE) else []
    return next(f"{QUARANTINE}/{prefix}{number}" for number in count() if f"{prefix}{number}" not in names)


def repair(disk: Disk, cut: Cut, events: Sequence[bytes]) -> None:
    """Do it; `events` are appended as one batch, and say what was done.

    Raises `StorageDegraded` when the disk took a step not: the damaged log is as it was, or, with only the caches of
    the old one left beside it, mended.
    """
    try:
        if cut.quarantine:
            _keep_aside(disk, cut)
        fresh = _write_fresh(disk, cut, events)
        disk.rename(fresh, cut.path)
        disk.sync_folder(f"{CONVERSATIONS}/{cut.conversation_id}")
        # Not before: until then they know of what is lost, and whoever begins again must, too.
        _drop_caches(disk, cut.conversation_id)
    except OSError as failure:
        raise StorageDegraded(f"{cut.path}: the repair stopped in the middle: {failure}") from failure


def _keep_aside(disk: Disk, cut: Cut) -> None:
    """The damaged file, whole, under a name that nothing has."""
    disk.make_folder(QUARANTINE)
    disk.sync_folder(".")
    if disk.exists(cut.quarantine):
        raise StorageError(f"{cut.quarantine} is there already, and nothing in {QUARANTINE} is written over")
    part = cut.quarantine.replace(f"{QUARANTINE}/", f"{QUARANTINE}/.") + PART
    _write(disk, part, pieces(disk, cut.path, 0, cut.keep_bytes + cut.cut_bytes, PIECE_BYTES))
    disk.rename(part, cut.quarantine)
    disk.sync_folder(QUARANTINE)


def _write_fresh(disk: Disk, cut: Cut, events: Sequence[bytes]) -> str:
    """The mended log beside the damaged one, verified as it is read back."""
    fresh = f"{CONVERSATIONS}/{cut.conversation_id}/{FRESH}"
    batch = b"".join(encode_batch(cut.keep_events, cut.epoch, events))
    _write(disk, fresh, chain(pieces(disk, cut.path, 0, cut.keep_bytes, PIECE_BYTES), [batch]))
    walk = LogWalk(disk, fresh)
    for _ in walk.batches():
        pass
    if walk.is_torn or walk.next_id != cut.keep_events + len(events):
        raise StorageError(f"{fresh} does not read as it was written: nothing was changed")
    return fresh


def _write(disk: Disk, path: str, data: Iterable[bytes]) -> None:
    disk.remove_tree(path)
    file = disk.open_append(path)
    try:
        for piece in data:
            file.write(piece)
        file.sync()
    finally:
        file.close()


def _drop_caches(disk: Disk, conversation_id: str) -> None:
    folder = f"{CONVERSATIONS}/{conversation_id}"
    for name in CACHES:
        disk.remove_tree(f"{folder}/{name}")
    disk.sync_folder(folder)
