"""The machine that a simulated disk is in: what a test does to it.

Faults, bit flips, a full disk, the death of a process, power cuts. What the program may do with the disk is in `disk`,
what a crash keeps in `crash`. Deterministic: chance comes in as an argument where something is drawn.
"""

import copy
import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Self, TypeVar

from storage.tree import Folder, error
from tests.fakes.sim_disk.crash import Crash, Image, crash, draw, worst
from tests.fakes.sim_disk.faults import Fault, FaultPlan, Operation, PoweredOff, Step
from tests.fakes.sim_disk.file import CachedFile
from tests.fakes.sim_disk.names import Namespace

__all__ = ["FIRST_MOMENT", "Machine"]

M = TypeVar("M", bound="Machine")

BLOCK_BYTES = 512
"""What the media keep or lose together: a sector."""

IMAGES_MAX = 2_000
"""More images than this of one crash are sampled."""

FIRST_MOMENT = 1_700_000_000.0
"""Times of files count the steps from here."""


def _nothing(_: Step) -> None:
    """What is done at a step when a test wants nothing."""


class Machine:
    """One life of it: from a boot, or the start of a process, to the next.

    `on_step` is called before each step, for a write before each piece of `piece_bytes` too; what it raises, happens.
    `steps` are all that were begun. `capacity_bytes` may be set at any time; None is no limit.
    """

    def __init__(
        self,
        image: Image | None = None,
        *,
        block_bytes: int = BLOCK_BYTES,
        piece_bytes: int | None = None,
        capacity_bytes: int | None = None,
    ) -> None:
        self.block_bytes = block_bytes
        self.piece_bytes = piece_bytes
        self.capacity_bytes = capacity_bytes
        self.boots = 1
        self.plan = FaultPlan()
        self.on_step: Callable[[Step], None] = _nothing
        self.steps: list[Step] = []
        self.tree = Namespace()
        self.locked: set[str] = set()
        self.notes: dict[str, str] = {}
        self._is_off = False
        self.alone = threading.RLock()
        """Held for each step."""
        for path, content in image.entries if image is not None else ():
            self.tree.put(path, _node(content))

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def fail(
        self,
        operation: Operation | None = None,
        path: str = "*",
        *,
        nth: int = 1,
        times: int | None = 1,
        code: int = errno.EIO,
        keep_bytes: int = 0,
        pages_turn_clean: bool = False,
    ) -> Fault:
        """Plan a `Fault`."""
        fault = Fault(operation, path, nth, times, code, keep_bytes, pages_turn_clean)
        self.plan.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Nothing more is planned to fail."""
        self.plan.faults.clear()

    def done(self, operation: Operation, path: str = "") -> int:
        """How many such steps were begun, of that very path or of any."""
        return sum(step.operation is operation and path in ("", step.path, step.target) for step in self.steps)

    def flip(self, path: str, offset: int, mask: int = 1) -> None:
        """Damage a byte on the media: it is read once the cache is gone. Raises `IndexError` where there is none."""
        self.tree.file(path).media[offset] ^= mask

    def drop_cache(self) -> None:
        """Read what is clean from the media from now on."""
        for file in self.tree.files():
            file.drop_cache()

    def crash_images(self, random: Random, limit: int = IMAGES_MAX) -> Crash:
        """What a power cut at this moment may leave; this disk goes on."""
        with self.alone:
            return crash(self.tree, self.block_bytes, limit, random)

    def crash(self, random: Random | None = None) -> Self:
        """Cut the power: what the next boot finds. Without chance, nothing is kept that was not synced."""
        image = worst(self.tree) if random is None else draw(self.tree, self.block_bytes, random)
        self._is_off = True
        return self.booted(image, notes=random is not None and random.random() < 1 / 2)

    def booted(self, image: Image, *, notes: bool = True) -> Self:
        """The same machine after a power cut, with that on its media; a lock's note may have survived or not."""
        after = self._same_machine(image)
        after.boots = self.boots + 1
        after.notes = dict(self.notes) if notes else {}
        return after

    def kill(self) -> Self:
        """Kill the process: what the next one finds, with the cache as it is."""
        after = self.after_a_kill()
        self._is_off = True
        return after

    def after_a_kill(self) -> Self:
        """What the next process would find if this one were killed now; this one goes on."""
        with self.alone:
            after = self._same_machine(None)
            after.boots = self.boots
            after.tree = copy.deepcopy(self.tree)
            after.notes = dict(self.notes)
            return after

    def _same_machine(self, image: Image | None) -> Self:
        return type(self)(
            image, block_bytes=self.block_bytes, piece_bytes=self.piece_bytes, capacity_bytes=self.capacity_bytes
        )

    # --- steps -------------------------------------------------------------------------------------------------------

    @contextmanager
    def step(self, operation: Operation, path: str, target: str = "") -> Iterator[None]:
        """Nobody else does anything meanwhile. Raises what the plan says, and nothing has changed then."""
        with self.alone:
            fault = self.begin(Step(operation, path, target))
            if fault is not None:
                raise error(fault.code, path)
            yield

    def begin(self, step: Step) -> Fault | None:
        """Tell of the step, and say what it fails of."""
        self.live()
        self.on_step(step)
        self.live()
        self.steps.append(step)
        return self.plan.strike(step)

    def live(self) -> None:
        """Raises `PoweredOff` when nothing is done here any more."""
        if self._is_off:
            raise PoweredOff

    def now(self) -> float:
        """Seconds since the epoch; each step takes one."""
        return FIRST_MOMENT + len(self.steps)

    # --- room --------------------------------------------------------------------------------------------------------

    def room(self) -> int | None:
        """How many bytes there is still room for; None when there is no limit."""
        if self.capacity_bytes is None:
            return None
        return max(0, self.capacity_bytes - sum(len(file.data) for file in self.tree.files()))

    def need_room(self, path: str) -> None:
        """A name needs room too; how much does not matter."""
        if self.room() == 0:
            raise error(errno.ENOSPC, path)

    def __repr__(self) -> str:
        files = sum(1 for _ in self.tree.files())
        return f"<{type(self).__name__} {files} files after {len(self.steps)} steps{' off' if self._is_off else ''}>"


def _node(content: bytes | None) -> CachedFile | Folder[CachedFile]:
    """As it is found after a boot, with nothing under way."""
    if content is None:
        return Folder(FIRST_MOMENT)
    return CachedFile(data=bytearray(content), media=bytearray(content), modified_at=FIRST_MOMENT)
