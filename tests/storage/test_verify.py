"""Whatever is wrong with a data folder is found, with its place; what only looks wrong while somebody writes is not."""

from collections.abc import Callable

import attrs
import pytest

from storage import snapshot as snapshots
from storage.disk import Disk
from storage.findings import Code
from storage.layout import FORMAT_BYTES
from storage.memory_disk import MemoryDisk
from storage.record import encode_batch
from storage.snapshot import Snapshot
from storage.surroundings import Kept, look_around, put_aside
from storage.verify import Checked, conversations_of, verify
from tests.fakes.sim_disk import Operation, SimDisk
from tests.storage.scans import scan

LOG, STATE = "conversations/a/events.jsonl", "conversations/a/state.json"


@attrs.define
class CountingWitness:
    """The state is the number of events; one that says `bad` makes no sense to it, one that says `new` is unknown."""

    state: int = 0
    unknown_events: int = 0

    def objection(self, event_id: int, payload: bytes) -> str:
        assert event_id == self.state
        self.state += 1
        self.unknown_events += payload == b'{"new":1}'
        return "it says bad" if payload == b'{"bad":1}' else ""

    def differs(self, document: object) -> str | None:
        if not isinstance(document, int):
            return None
        return "" if document == self.state else "count"


def lines_of(*events: bytes, first_id: int = 0) -> list[bytes]:
    return [line for number, event in enumerate(events, first_id) for line in encode_batch(number, 1, [event])]


GOOD = lines_of(*(b'{"n":%d}' % number for number in range(10)))


def disk_with(log: bytes | None, state: bytes | None = None) -> MemoryDisk:
    disk = MemoryDisk()
    disk.make_folder("conversations/a/files")
    disk.replace("format.json", FORMAT_BYTES)
    if log is not None:
        disk.replace(LOG, log)
    if state is not None:
        disk.replace(STATE, state)
    return disk


def snapshot_at(position: int, document: object, lines: list[bytes] = GOOD) -> bytes:
    anchor = scan(b"".join(lines[: position + 1])).last
    return snapshots.encode(Snapshot(position, anchor, document))


def checked(disk: Disk, meanwhile: Callable[[], None] = lambda: None) -> Checked:
    [found] = verify(disk, ["a"], CountingWitness, told=lambda _: None, pause=meanwhile)
    return found


def codes(found: Checked) -> list[Code]:
    return [finding.code for finding in found.findings]


def test_a_good_log_with_its_snapshot_is_counted_and_nothing_is_found() -> None:
    lines = [*GOOD, *lines_of(b'{"new":1}', first_id=10)]
    found = checked(disk_with(b"".join(lines), snapshot_at(6, 7)))
    assert attrs.evolve(found, looks=None) == Checked("a", 11, len(b"".join(lines)), 1)


def test_k16_a_flipped_byte_in_the_middle_is_told_with_its_place_and_what_lies_around_it() -> None:
    offset = len(b"".join(GOOD[:4]))
    for place in range(len(GOOD[4])):
        log = bytearray(b"".join(GOOD))
        log[offset + place] ^= 1
        found = checked(disk_with(bytes(log)))
        [finding] = found.findings
        assert (finding.code, finding.path, finding.conversation_id) == (Code.LOG_CORRUPT, LOG, "a")
        assert (finding.event_id, finding.offset, finding.events_before) == (4, offset, 4)
        # A damaged newline takes nothing from the line after it: that one is found within what is left.
        assert finding.events_behind == 5
        assert (found.events, found.is_damaged) == (4, True)


def test_k16_that_the_snapshot_knows_of_what_lies_behind_the_damage_is_nothing_more() -> None:
    log = b"".join(GOOD).replace(b'"n":4', b'"n":3')
    assert codes(checked(disk_with(log, snapshot_at(8, 9)))) == [Code.LOG_CORRUPT]
    assert codes(checked(disk_with(b"".join(GOOD)[:-3], snapshot_at(9, 10)))) == [Code.LOG_TORN, Code.LOG_SHORT]


@pytest.mark.parametrize("cut", [1, 20, len(GOOD[9]) - 1])
def test_k16_a_torn_end_is_told_as_one(cut: int) -> None:
    [finding] = checked(disk_with(b"".join(GOOD)[:-cut])).findings
    assert (finding.code, finding.event_id, finding.events_before) == (Code.LOG_TORN, 9, 9)
    assert finding.events_behind == 0


def test_k16_a_batch_without_its_end_is_torn_from_its_beginning() -> None:
    batch = encode_batch(10, 1, [b"{}", b"{}", b"{}"])
    [finding] = checked(disk_with(b"".join([*GOOD, *batch[:2]]))).findings
    assert (finding.code, finding.event_id, finding.offset) == (Code.LOG_TORN, 10, len(b"".join(GOOD)))
    assert (finding.events_before, finding.events_behind, finding.why) == (10, 2, "the last batch has no end")


def test_k16_k18_a_log_that_ends_before_its_snapshot_has_lost_what_was_acknowledged() -> None:
    [finding] = checked(disk_with(b"".join(GOOD[:5]), snapshot_at(7, 8))).findings
    assert (finding.code, finding.event_id, finding.events_before) == (Code.LOG_SHORT, 5, 5)


def test_a_missing_log_and_one_that_cannot_be_read() -> None:
    assert codes(checked(disk_with(None))) == [Code.LOG_MISSING]

    class UnreadableDisk(MemoryDisk):
        def read(self, path: str, start: int, stop: int) -> bytes:
            if path == LOG:
                raise PermissionError("not yours")
            return super().read(path, start, stop)

    disk = UnreadableDisk()
    disk.make_folder("conversations/a")
    disk.replace(LOG, b"")
    [finding] = checked(disk).findings
    assert (finding.code, finding.why) == (Code.UNREADABLE, "not yours")


def test_k26_an_event_that_makes_no_sense_is_told_once_and_what_follows_it_is_not_judged() -> None:
    lines = lines_of(b"{}", b"{}", b'{"bad":1}', b'{"bad":1}')
    found = checked(disk_with(b"".join(lines), snapshot_at(3, 99, lines)))
    [finding] = found.findings
    assert (finding.code, finding.why, finding.event_id) == (Code.EVENT_UNREADABLE, "it says bad", 2)
    assert finding.offset == len(b"".join(lines[:2]))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (snapshot_at(6, 8), [Code.SNAPSHOT_WRONG]),
        (snapshot_at(6, "of another version"), [Code.SNAPSHOT_IGNORED]),
        (snapshot_at(6, 7, lines_of(*[b'{"of":"another log"}'] * 7)), [Code.LOG_SHORT]),
        (b"{", [Code.SNAPSHOT_IGNORED]),
        (snapshot_at(6, 7).replace(b'"format":2', b'"format":3'), [Code.SNAPSHOT_IGNORED]),
        (snapshots.encode(Snapshot(6, None, None)), []),
        (snapshot_at(9, 10), []),
        (snapshot_at(0, 1), []),
    ],
)
def test_k18_a_snapshot_is_held_against_what_replay_gives(state: bytes, expected: list[Code]) -> None:
    found = checked(disk_with(b"".join(GOOD), state))
    assert codes(found) == expected
    assert found.is_damaged is (expected in ([Code.SNAPSHOT_WRONG], [Code.LOG_SHORT]))


def test_an_end_that_changes_meanwhile_is_being_written_and_no_damage() -> None:
    torn = b"".join(GOOD)[:-5]
    disk = disk_with(torn)
    found = checked(disk, lambda: disk.replace(LOG, b"".join([*GOOD, b'{"id":10,"ep'])))
    assert (codes(found), found.is_damaged, found.events) == ([Code.BEING_WRITTEN], False, 10)
    disk.replace(LOG, torn)
    found = checked(disk, lambda: disk.replace(LOG, b"".join(GOOD)))
    assert (codes(found), found.events) == ([], 10)


def test_k14_a_write_that_is_cut_back_under_the_readers_eyes_is_no_damage_and_real_damage_stays_damage() -> None:
    mixed = b"".join([*GOOD[:5], GOOD[5][:9], *GOOD[6:]])
    disk = disk_with(mixed)
    assert codes(checked(disk, lambda: disk.replace(LOG, b"".join(GOOD)))) == []
    disk = disk_with(mixed)
    grown = mixed + lines_of(b"{}", first_id=10)[0]
    [finding] = checked(disk, lambda: disk.replace(LOG, grown)).findings
    assert (finding.code, finding.event_id, finding.events_behind) == (Code.LOG_CORRUPT, 5, 5)


def test_a_conversation_that_is_deleted_meanwhile_is_left_out() -> None:
    disk = disk_with(b"".join(GOOD)[:-5])
    delete = lambda: disk.remove_tree("conversations/a")  # noqa: E731 - a line is enough
    assert list(verify(disk, ["a"], CountingWitness, told=lambda _: None, pause=delete)) == []


def test_nobody_waits_when_nothing_is_wrong() -> None:
    def pause() -> None:
        raise AssertionError("there was nothing to look at again")

    assert not checked(disk_with(b"".join(GOOD)), pause).is_damaged


def test_every_conversation_is_looked_at_whatever_its_neighbours_are_like() -> None:
    disk = disk_with(b"junk\n")
    for name, log in (("b", b"".join(GOOD)), ("c", b"".join(GOOD))):
        disk.make_folder(f"conversations/{name}")
        disk.replace(f"conversations/{name}/events.jsonl", log)
    found = verify(disk, conversations_of(disk), CountingWitness, told=lambda _: None, pause=lambda: None)
    assert [(one.conversation_id, one.events) for one in found] == [("b", 10), ("c", 10), ("a", 0)]


def test_what_else_lies_there_is_told_and_documents_are_opened() -> None:
    disk = disk_with(b"".join(GOOD))
    for folder in ("documents", "quarantine", "trash/a-1/files", "conversations/.new-b", "conversations/not an id"):
        disk.make_folder(folder)
    for path, data in {
        "notes.txt": b"",
        ".format.json.new": b"",
        ".jwt_secret": b"s",
        "lock": b"",
        "documents/settings.json": b'{"format":1,"document":{}}',
        "documents/secrets.json": b'{"format":1,"docu',
        ".probe": b"",
        "documents/newer.json": b'{"format":2}',
        "documents/readme": b"",
        "quarantine/old": b"12345",
        "conversations/a/copy.jsonl": b"",
        "conversations/a/.state.json.new": b"",
    }.items():
        disk.replace(path, data)
    assert {(finding.path, finding.code) for finding in look_around(disk)} == {
        ("notes.txt", Code.STRAY),
        (".format.json.new", Code.HALF_MADE),
        (".probe", Code.HALF_MADE),
        ("documents/secrets.json", Code.DOCUMENT_DAMAGED),
        ("documents/newer.json", Code.DOCUMENT_DAMAGED),
        ("documents/readme", Code.STRAY),
        ("conversations/.new-b", Code.HALF_MADE),
        ("conversations/not an id", Code.STRAY),
    }
    assert put_aside(disk, "quarantine") == [Kept("quarantine/old", 5)]
    assert put_aside(disk, "trash") == [Kept("trash/a-1", 0)]
    found = checked(disk)
    assert {(finding.path, finding.code) for finding in found.findings} == {
        ("conversations/a/copy.jsonl", Code.STRAY),
        ("conversations/a/.state.json.new", Code.HALF_MADE),
    }
    assert not found.is_damaged


def test_nothing_is_changed_and_memory_is_bounded_by_the_piece() -> None:
    class WatchedDisk(SimDisk):
        largest = 0

        def read(self, path: str, start: int, stop: int) -> bytes:
            self.largest = max(self.largest, len(piece := super().read(path, start, stop)))
            return piece

    disk = WatchedDisk()
    disk.make_folder("conversations/a")
    event = b'{"text":"%b"}' % (b"x" * 100_000)
    disk.replace(LOG, b"".join(lines_of(*[event] * 60)) + b"torn")
    before = len(disk.steps)
    found = checked(disk)
    assert (found.events, codes(found)) == (60, [Code.LOG_TORN])
    assert disk.largest == 1024 * 1024
    assert {step.operation for step in disk.steps[before:]} == {Operation.READ}
