"""What a log holds, found out as cheaply as it can be known for certain, and what recovery mends (K16, K17).

A snapshot that fits its log says where the log was whole: what lies before is believed here and verified when it is
read. Anything that does not fit is no reason to guess: then every byte is read. Blocking; called in a thread.
"""

import attrs

from storage import snapshot as snapshots
from storage.disk import AppendFile
from storage.errors import CorruptLog, StorageDegraded
from storage.event_log.files import LogFiles
from storage.record import Anchor, Damage, Scan, Scanner
from storage.snapshot import Snapshot
from storage.walk import scan

__all__ = ["Found", "Repair", "corrupt", "find", "mend", "scan_whole"]


@attrs.frozen
class Repair:
    """What recovery cut off the end of a log, and where it is kept: nothing and nowhere when it was gone already.

    `acknowledged_loss`: it was acknowledged. Then ids are used again for what a client may have seen.
    """

    first_lost_id: int
    bytes_cut: int
    quarantine: str
    acknowledged_loss: bool


@attrs.frozen
class Found:
    """`snapshot` is one that fits the log. `has_lost`: the log has not all that it once had, as a snapshot tells that
    does not fit; and `epoch` is the highest that is known to have been used."""

    scan: Scan
    snapshot: Snapshot | None
    has_lost: bool
    epoch: int


def find(files: LogFiles, *, from_snapshot: bool = True) -> Found:
    """Verify the log from its snapshot on, or from its first byte when that does not fit or is not to be used.

    Raises `Unreadable`.
    """
    with files.reading():
        return _find(files, from_snapshot=from_snapshot)


def _find(files: LogFiles, *, from_snapshot: bool) -> Found:
    snapshot = snapshots.load(files.disk, files.snapshot)
    if from_snapshot and snapshot is not None and snapshot.anchor is not None:
        found = _scan_behind(files, snapshot.anchor)
        if found is not None:
            return Found(found, snapshot, has_lost=False, epoch=found.last.epoch)
    found = scan_whole(files)
    if snapshot is None:
        return Found(found, None, has_lost=False, epoch=found.last.epoch)
    return _hold_against(snapshot, found, files)


def _hold_against(snapshot: Snapshot, found: Scan, files: LogFiles) -> Found:
    anchor = snapshot.anchor
    if anchor is None:
        return Found(found, None, has_lost=found.next_id <= snapshot.position, epoch=found.last.epoch)
    if anchor.end <= found.last.end and _holds(files, anchor):
        return Found(found, snapshot, has_lost=False, epoch=found.last.epoch)
    # Another record under that id, or none at all.
    return Found(found, None, has_lost=True, epoch=max(found.last.epoch, anchor.epoch))


def scan_whole(files: LogFiles, end: int | None = None) -> Scan:
    """Verify every byte, up to `end`. A missing log is a damaged one: whoever opens its conversation is told (K16)."""
    if not files.disk.exists(files.path):
        return Scanner().result(is_torn=False, damage=Damage(0, 0, "the file is missing"))
    return scan(files.disk, files.path, end=end)


def _scan_behind(files: LogFiles, anchor: Anchor) -> Scan | None:
    """None when the log has no such record there."""
    if not files.disk.exists(files.path) or not _holds(files, anchor):
        return None
    return scan(files.disk, files.path, anchor)


def _holds(files: LogFiles, anchor: Anchor) -> bool:
    return anchor.holds(files.disk.read(files.path, anchor.start, anchor.end))


def corrupt(path: str, damage: Damage) -> CorruptLog:
    return CorruptLog(path, offset=damage.offset, event_id=damage.event_id, why=damage.why)


def mend(files: LogFiles, found: Scan, quarantine: str, *, is_stale: bool) -> tuple[int, str]:
    """Have the file hold whole batches and nothing else; how much was cut off it, and where that is kept.

    The torn end is kept aside first: a crash in between cuts it again. When what is read may be on no disk, only a
    fresh file is believed (K15). Raises `StorageDegraded`: nothing is lost, and there may be room for it later (K14).
    """
    try:
        kept = _keep_aside(files, found, quarantine) if found.torn else (0, "")
        if is_stale:
            files.disk.replace(files.path, files.disk.read(files.path, 0, found.last.end))
        elif found.torn:
            _cut(files.disk.open_append(files.path), found.last.end)
    except OSError as failure:
        raise StorageDegraded(f"{files.path}: the log could not be mended: {failure}") from failure
    return kept


def _keep_aside(files: LogFiles, found: Scan, quarantine: str) -> tuple[int, str]:
    disk, end = files.disk, found.last.end
    rest = disk.read(files.path, end, disk.size(files.path))
    disk.make_folder(quarantine)
    prefix = f"{files.path.replace('/', '-')}-{found.last.epoch + 1}-{end}-"
    # A log may tear twice at the same place before anything was appended: both ends are kept.
    before = sum(name.startswith(prefix) for name in disk.list_folder(quarantine))
    name = f"{quarantine}/{prefix}{before}"
    disk.replace(name, rest)
    return len(rest), name


def _cut(file: AppendFile, size: int) -> None:
    try:
        file.truncate(size)
        file.sync()
    finally:
        file.close()
