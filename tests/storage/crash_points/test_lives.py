"""Life after life of a store by seed: random work, random faults, ended at a random step by a kill or a power cut.

What no list of single operations shows: what becomes of a log that was torn, mended, doubted and torn again. How many
seeds there are comes from `--crash-images`, too; each is a test of its own, by which it is replayed.
"""

from collections.abc import Sequence
from contextlib import suppress
from random import Random

from storage.documents import Documents
from storage.errors import CorruptLog, OutcomeUnknown, StorageDegraded, StorageError
from storage.event_log import EventLog
from storage.store import Store, open_store
from tests.fakes.sim_disk import CHANGES, Operation, PoweredOff, SimDisk, Step
from tests.storage.crash_points.conftest import Tally
from tests.storage.crash_points.points import FIRST, describe, recover
from tests.storage.crash_points.told import Conversation, Told

LIVES = 6
DEEDS_MAX = 12
"""In one life, if nothing ends it before."""

STEPS_MAX = 80
"""Of the disk, in one life: about as many as its deeds take."""

DEEDS_ALONE = ("create", "document", "fault")
DEEDS = (*DEEDS_ALONE, *("append",) * 6, "snapshot", "close", "delete")

FAULTY = (
    Operation.WRITE,
    Operation.SYNC,
    Operation.TRUNCATE,
    Operation.SYNC_FOLDER,
    Operation.RENAME,
    Operation.CREATE,
)


class Life:
    """One process on the disk, until its power or its luck runs out."""

    def __init__(self, disk: SimDisk, told: Told, chance: Random) -> None:
        self.disk = disk
        self.told = told
        self.chance = chance
        self._logs: dict[str, EventLog] = {}
        self._steps_left = chance.randrange(STEPS_MAX)
        disk.on_step = self._count

    def _count(self, step: Step) -> None:
        if step.operation in CHANGES:
            self._steps_left -= 1
            if self._steps_left < 0:
                raise PoweredOff

    async def live(self) -> None:
        """Do this and that. Raises `PoweredOff`, in groups of errors, when it is over too early."""
        with suppress(OSError):  # a start that meets a fault is a life that was short
            async with open_store(self.disk, describe) as store:
                for _ in range(self.chance.randint(1, DEEDS_MAX)):
                    await self._do_something(store)

    async def _do_something(self, store: Store) -> None:
        names = [name for name in self.told.conversations if store.exists(name)]
        deed = self.chance.choice(DEEDS if names else DEEDS_ALONE)
        name = self.chance.choice(names) if names else ""
        match deed:
            case "create":
                await self._create(store)
            case "document":
                await self._document()
            case "fault":
                self._plan_a_fault()
            case "append":
                await self._append(store, name)
            case "snapshot":
                await self._snapshot(store, name)
            case "close":
                await self._close(name)
            case "delete":
                await self._delete(store, name)

    def _plan_a_fault(self) -> None:
        self.disk.heal()
        self.disk.fail(
            self.chance.choice(FAULTY),
            nth=self.chance.randint(1, 3),
            keep_bytes=self.chance.randrange(200),
            pages_turn_clean=self.chance.random() < 1 / 2,
        )

    async def _create(self, store: Store) -> None:
        name = f"c{self.chance.randrange(10**9)}"
        self.told.submit(name, (FIRST,))
        try:
            await store.create(describe(name, FIRST), [FIRST])
        except StorageDegraded:
            self.told.forget(name)
        except OutcomeUnknown:
            return
        else:
            self.told.acknowledge(name)

    async def _append(self, store: Store, name: str) -> None:
        log = await self._log(store, name)
        if log is None:
            return
        count = self.chance.randint(1, 4)
        batch = tuple(b'{"n":%d,"x":"%s"}' % (log.next_id + n, b"x" * self.chance.randrange(60)) for n in range(count))
        self.told.submit(name, batch)
        try:
            await log.append([batch])
        except StorageDegraded:
            self.told.withdraw(name)
        except OutcomeUnknown:
            del self._logs[name]
        else:
            self.told.acknowledge(name)

    async def _log(self, store: Store, name: str) -> EventLog | None:
        """The log that is open, or opened now: then what it shows is what there is (K15)."""
        if name not in self._logs:
            try:
                log = await store.open_log(name)
                shown = [event async for event in log.events()]
            except CorruptLog:
                raise  # no power cut and no failed operation damages a middle
            except (StorageError, OSError):
                return None
            assert self.told.conversations[name].allows(shown)
            settle(self.told, name, shown)
            self._logs[name] = log
        return self._logs[name]

    async def _snapshot(self, store: Store, name: str) -> None:
        log = await self._log(store, name)
        if log is not None:
            with suppress(OSError):
                await log.save_snapshot({"events": log.next_id})

    async def _close(self, name: str) -> None:
        if name in self._logs:
            await self._logs.pop(name).close()

    async def _delete(self, store: Store, name: str) -> None:
        await self._close(name)
        before = self.told.conversations[name]
        self.told.ask_deletion(name)
        try:
            await store.delete(name)
        except StorageDegraded:
            self.told.conversations = {**self.told.conversations, name: before}
        except OutcomeUnknown:
            return
        else:
            self.told.acknowledge_deletion(name)

    async def _document(self) -> None:
        value = self.chance.randrange(1000)
        before = self.told.documents
        self.told.documents = (*before, value)
        try:
            await Documents(self.disk).write("settings", value)
        except StorageDegraded:
            self.told.documents = before
        except OutcomeUnknown:
            return
        else:
            self.told.documents = (value,)


def settle(told: Told, name: str, shown: Sequence[bytes]) -> None:
    """From here on it is known what became of all that was submitted."""
    told.conversations = {**told.conversations, name: Conversation((tuple(shown),), acknowledged=1)}


async def live(seed: int) -> None:
    chance = Random(seed)
    disk, told = SimDisk(block_bytes=64), Told()
    for _ in range(LIVES):
        try:
            await Life(disk, told, chance).live()
        except* PoweredOff:
            pass
        disk.heal()
        disk = disk.kill() if chance.random() < 1 / 2 else disk.crash(chance)
        shown = await recover(disk)
        told.check(shown.events)
        assert shown.document in told.documents
        told.conversations = {}
        for name, events in shown.events.items():
            settle(told, name, events)
        told.documents = (shown.document,)
        disk = disk.kill() if chance.random() < 1 / 2 else disk.crash(chance)


async def test_k08_k14_k15_k16_no_series_of_lives_loses_what_was_acknowledged(life_seed: int, tally: Tally) -> None:
    await live(life_seed)
    tally.add("lives", LIVES)
