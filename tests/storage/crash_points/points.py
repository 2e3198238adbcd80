"""Watching a disk at work, and surviving every crash that its model allows at every step of that work."""

from collections.abc import Awaitable, Callable, Mapping
from random import Random

import attrs
import orjson

from storage.catalogue import Entry
from storage.documents import Documents
from storage.store import Store, open_store
from tests.fakes.sim_disk import CHANGES, Image, SimDisk, Step
from tests.storage.crash_points.conftest import Tally
from tests.storage.crash_points.told import Told

__all__ = ["Points", "Recovered", "describe", "recover", "survive"]

FIRST = b'{"kind":"created"}'


def describe(conversation_id: str, _: bytes) -> Entry:
    return Entry(conversation_id, "2026-01-01T00:00:00Z")


@attrs.frozen
class Recovered:
    """What the store shows after a start."""

    events: Mapping[str, list[bytes]]
    snapshots: Mapping[str, object]
    document: object


class Points:
    """`watch` a disk; at each of its steps every crash image and the kill are kept, with what was told until then."""

    def __init__(self, told: Told, limit: int) -> None:
        self.told = told
        self._limit = limit
        self._random = Random(limit)
        self.images: dict[tuple[Image, tuple[object, ...]], tuple[SimDisk, Told]] = {}
        self.killed: list[tuple[SimDisk, Told]] = []
        self.steps = 0
        self.complete = 0

    def watch(self, disk: SimDisk) -> None:
        disk.on_step = lambda step: self._before(disk, step)

    def _before(self, disk: SimDisk, step: Step) -> None:
        if step.operation in CHANGES:
            self.look(disk)

    def look(self, disk: SimDisk) -> None:
        """Keep this moment."""
        told = self.told.at_this_moment()
        crash = disk.crash_images(self._random, self._limit)
        self.steps += 1
        self.complete += crash.possible <= self._limit
        for image in crash.images:
            self.images.setdefault((image, told.key()), (disk, told))
        self.killed.append((disk.after_a_kill(), told))

    async def survive_all(self, tally: Tally, what: str) -> None:
        """Survive every one."""
        for place, ((image, _), (disk, told)) in enumerate(self.images.items()):
            await survive(disk.booted(image, notes=place % 2 == 0), told)
        for disk, told in self.killed:
            await survive(disk, told)
        tally.add(what, len(self.images) + len(self.killed), self.steps, self.complete)


async def survive(disk: SimDisk, told: Told) -> None:
    """Start on what is there, be cut off again, start again, go on working, and start once more."""
    shown = await recover(disk)
    told.check(shown.events)
    assert all(found in told.snapshots for found in shown.snapshots.values())
    assert shown.document in told.documents
    after = disk.crash()
    again = await recover(after, go_on)
    assert (again.events, again.document) == (shown.events, shown.document), "what was shown must survive a power cut"
    then = await recover(after.crash())
    assert then.events == {name: [*events, *MORE] for name, events in shown.events.items()}


MORE = (b'{"more":1}', b'{"more":2}')


async def go_on(store: Store, name: str) -> None:
    log = await store.open_log(name)
    await log.append([MORE])
    await log.close()


async def nothing(_: Store, __: str) -> None:
    """What is done with a recovered log that is only looked at."""


async def recover(disk: SimDisk, then: Callable[[Store, str], Awaitable[None]] = nothing) -> Recovered:
    """Start a store and open every log for writing, as their actors would; each line on the disk is looked at, too."""
    events: dict[str, list[bytes]] = {}
    snapshots: dict[str, object] = {}
    async with open_store(disk, describe) as store:
        for name in [entry.conversation_id for entry in store.catalogue.page(100)[0]]:
            log = await store.open_log(name)
            events[name] = [event async for event in log.events()]
            assert log.next_id == len(events[name])
            check_lines(disk, f"conversations/{name}/events.jsonl", events[name])
            await log.close()
            snapshots[name] = log.snapshot.document if log.snapshot is not None else None
            await then(store, name)
        document = await Documents(disk).read("settings")
    return Recovered(events, snapshots, document)


def check_lines(disk: SimDisk, path: str, events: list[bytes]) -> None:
    """Ids are dense from 0, epochs never fall, batches are whole (K10), read by another parser than ours."""
    lines = [orjson.loads(line) for line in disk.read(path, 0, disk.size(path)).splitlines()]
    assert [line["id"] for line in lines] == list(range(len(events)))
    assert [line["event"] for line in lines] == [orjson.loads(event) for event in events]
    epochs = [line["epoch"] for line in lines]
    assert epochs == sorted(epochs)
    place = 0
    for line in lines:
        assert line["batch"][0] == place < line["batch"][1]
        place = (place + 1) % line["batch"][1]
    assert place == 0
