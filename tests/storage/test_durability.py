"""K8 as kill -9 cannot show it: no append returns before the sync of its bytes has returned."""

import pytest
import trio

from storage.catalogue import Entry
from storage.store import open_store
from tests.fakes.held_disk import HeldDisk

pytestmark = pytest.mark.wallclock


async def test_k08_no_append_returns_before_its_sync_has_returned() -> None:
    disk = HeldDisk()
    returned: list[int] = []
    async with open_store(disk, lambda name, _: Entry(name, "2026")) as store:
        await store.create(Entry("a", "2026"), [b'{"id":0}'])
        log = await store.open_log("a")
        disk.release.clear()

        async def append() -> None:
            await log.append([[b'{"id":1}']])
            returned.append(log.next_id)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(append)
            while b'"id":1' not in disk.read("conversations/a/events.jsonl", 0, 10_000):
                await trio.sleep(0.01)
            await trio.sleep(0.1)
            assert returned == []
            assert log.next_id == 1
            disk.release.set()
        assert returned == [2]
        assert await log.read(0, 10) == [b'{"id":0}', b'{"id":1}']
