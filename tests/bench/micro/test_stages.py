"""Where the time of an append goes: the stages add up to what was waited for."""

import re
from pathlib import Path

from bench.micro.stages import Passage, WatchedDisk, stages


async def test_a_group_is_watched_on_its_way_and_nothing_else_is(tmp_path: Path) -> None:
    disk = WatchedDisk(tmp_path)
    files = [disk.open_append(name) for name in "ab"]
    await disk.run(lambda: disk.size("a"))
    assert disk.passages == []
    assert await disk.run(lambda: disk.sync_files(files)) == [None, None]
    [passage] = disk.passages
    assert passage.size == 2
    assert passage.called <= passage.begun <= passage.written <= passage.synced <= passage.back
    for file in files:
        file.close()


def test_stages_are_those_of_the_median_append_and_add_up() -> None:
    alone = Passage(called=0.0, begun=1e-6, written=2e-6, synced=3e-6, back=4e-6, size=1)
    large = Passage(called=0.0, begun=10e-6, written=30e-6, synced=60e-6, back=100e-6, size=50)
    told = stages([alone, alone, large], [150e-6])
    assert [int(number) for number in re.findall(r"\d+", told)] == [50, 10, 20, 30, 40, 50]
