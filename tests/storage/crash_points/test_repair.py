"""The operator's repair, cut at every step and every tear that the disk's model allows (K16).

After each cut the log is the damaged one, byte for byte, or the mended one; whatever is kept aside is the damaged one
whole; and a repair from there gets through.
"""

from contextlib import suppress
from random import Random

import pytest

from storage.disk import Disk
from storage.errors import NothingToRepair
from storage.findings import Code
from storage.layout import QUARANTINE
from storage.repair import examine, repair
from tests.fakes.sim_disk import CHANGES, Image, SimDisk, Step
from tests.storage.crash_points.conftest import Tally
from tests.storage.test_repair import content, flipped, read
from tests.storage.test_verify import GOOD, LOG, STATE, snapshot_at

BLOCK_BYTES = 64
"""A line of these logs lies on two or three blocks."""

SAID = [b'{"cut":1}', b'{"said":2}']

DAMAGED = {Code.LOG_CORRUPT: flipped(4), Code.LOG_TORN: b"".join(GOOD)[:-9], Code.LOG_MISSING: None}
STAYS = {Code.LOG_CORRUPT: 4, Code.LOG_TORN: 9, Code.LOG_MISSING: 0}


def damaged_disk(code: Code) -> SimDisk:
    disk = SimDisk(block_bytes=BLOCK_BYTES)
    for folder in ("conversations", "conversations/a"):
        disk.make_folder(folder)
    log = DAMAGED[code]
    if log is not None:
        disk.replace(LOG, log)
    disk.replace(STATE, snapshot_at(8, 9))
    for folder in (".", "conversations", "conversations/a"):
        disk.sync_folder(folder)
    return disk


def do_repair(disk: Disk) -> None:
    repair(disk, examine(disk, "a", lambda _: None), SAID)


def assert_is_one_or_the_other(disk: Disk, code: Code) -> bool:
    """Whether it is mended."""
    damaged = DAMAGED[code]
    names = disk.list_folder(QUARANTINE) if disk.exists(QUARANTINE) else []
    kept = [content(disk, f"{QUARANTINE}/{name}") for name in names if not name.startswith(".")]
    assert all(log == damaged for log in kept)
    if (content(disk) if disk.exists(LOG) else None) == damaged:
        # Whoever begins again knows what this one knew.
        assert disk.exists(STATE)
        return False
    assert read(disk) == ([b'{"n":%d}' % number for number in range(STAYS[code])] + SAID, 2, False)
    assert kept or damaged is None
    return True


@pytest.mark.parametrize("code", DAMAGED)
def test_k16_no_cut_of_a_repair_leaves_anything_but_the_damaged_log_or_the_mended_one(code: Code, tally: Tally) -> None:
    random, images, killed = Random(16), dict[Image, SimDisk](), list[SimDisk]()
    steps, complete = 0, 0
    disk = damaged_disk(code)

    def look() -> None:
        nonlocal steps, complete
        crash = disk.crash_images(random, tally.images_max)
        steps, complete = steps + 1, complete + (crash.possible <= tally.images_max)
        images.update({image: disk for image in crash.images if image not in images})
        killed.append(disk.after_a_kill())

    def before(step: Step) -> None:
        if step.operation in CHANGES:
            look()

    disk.on_step = before
    do_repair(disk)
    look()
    found = [disk.booted(image) for image in images] + killed
    outcomes = {assert_is_one_or_the_other(one, code) for one in found}
    assert outcomes == {True, False}
    for one in found:
        assert_gets_through(one, code)
    tally.add(f"a repair: {code}", len(found), steps, complete)


def assert_gets_through(disk: SimDisk, code: Code) -> None:
    """Where the caches of the damaged log are still there, or come back, what is lost is said once more."""
    events = [b'{"n":%d}' % number for number in range(STAYS[code])]
    disk.sync_folder("conversations/a")  # what the word that was left in the lock has the next one do
    for times_said in (1, 2, 3):
        with suppress(NothingToRepair):
            do_repair(disk)
        disk = disk.crash()
        found, _, is_torn = read(disk)
        assert not is_torn
        assert found[: STAYS[code]] == events
        assert found[STAYS[code] :] in [SAID * times for times in range(1, times_said + 2)]
        if not disk.exists(STATE):
            break
    with pytest.raises(NothingToRepair):
        examine(disk, "a", lambda _: None)
