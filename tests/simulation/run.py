"""One seed from beginning to end: several lives of a server on one disk, then a calm in which everything must be well.

What lives here: the order of things. What must not: what goes wrong (`plan`), what must hold (`checkers`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import structlog
import trio
import trio.testing

from actors.conversation.table import Status
from actors.domain.events import MessageAction
from actors.runtime import ActorError, Residency
from bench.checkers import Violation
from storage.errors import StorageError
from storage.record import decode
from tests.fakes.sim_disk import PoweredOff, Step
from tests.simulation import plan
from tests.simulation.checkers import CHECKERS, AtRest, Checker, Evidence
from tests.simulation.clients import Caller, Voice
from tests.simulation.ledger import Ledger, Outcome, log_path
from tests.simulation.plan import Ending, Life
from tests.simulation.server import Premises, SlowDisk, Stage, open_premises
from tests.simulation.world import Trace, World

__all__ = ["Failure", "run_seed"]

VOICES, CALLERS = 4, 2

Die = Callable[[], None]

CALM_SECONDS = 120.0
"""Once nothing fails any more, everything is ready or failed with a reason within this, of virtual time."""


class Failure(Exception):
    """A promise was broken in the run of a seed; the text says which."""

    def __init__(self, seed: int, why: str, trace: Trace) -> None:
        super().__init__(f"seed {seed}: {why}")
        self.seed = seed
        self.why = why
        self.trace = trace


def run_seed(seed: int, *, keeps_words: bool = False) -> Trace:
    """Raises `Failure`. The same seed gives the same trace, in whatever process."""
    world = World(seed, Trace(keeps_words))
    with _own_log(world):
        try:
            trio.run(_Run(world).whole, clock=trio.testing.MockClock(autojump_threshold=0))
        except* Violation as violations:
            raise Failure(seed, str(_first(violations)), world.trace) from violations
        except* Exception as crashes:
            raise Failure(seed, f"the server crashed: {_first(crashes)!r}", world.trace) from crashes
    return world.trace


@contextmanager
def _own_log(world: World) -> Iterator[None]:
    before = structlog.get_config()
    world.begin()
    try:
        yield
    finally:
        structlog.configure(**before)


def _first(failure: BaseException) -> BaseException:
    return _first(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure


class _Run:
    """The state of a run between its lives."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.disk = SlowDisk()
        self.ledger = Ledger(world, self.disk)
        self.voices = [Voice(f"voice{place}", self.ledger, world.stream(f"voice {place}")) for place in range(VOICES)]
        self.callers = [
            Caller(f"caller{place}", self.ledger, world.stream(f"caller {place}")) for place in range(CALLERS)
        ]
        self._power = world.stream("power")
        self._found: dict[str, bytes] = {}

    async def whole(self) -> None:
        lives = plan.draw(self.world.stream("plan"))
        for number, life in enumerate(lives):
            self._use(self.disk, number)
            await self._live(life, number)
            self.check()
        self._use(self.disk, len(lives))
        await self._calm(len(lives))
        self.check(AtRest())

    def _use(self, disk: SlowDisk, life: int) -> None:
        self.disk = self.ledger.disk = disk
        disk.chance = self.world.stream(f"disk {life}")

    # --- a life ------------------------------------------------------------------------------------------------------

    async def _live(self, life: Life, number: int) -> None:
        self.world.trace.note("life", number=number, end=life.end)
        stage = Stage(self.world)
        for fault in life.faults:
            if isinstance(fault, plan.DiskFails) and fault.at == 0:
                self._fail(fault)
        with trio.CancelScope() as scope:
            die = partial(self._die, life.end.ending, scope)
            if life.end.at_step is not None:
                self.disk.on_step = _Countdown(life.end.at_step, die)
            try:
                await self._serve(life, number, stage, die)
            except* PoweredOff:
                self.world.trace.note("died in the middle of a step")
                self.world.trace.reached["death in a step"] += 1
            except* (StorageError, OSError) as failures:
                self._note_failed_start(life, failures)
        if stage.doubled:
            raise Violation(f"two actors of {stage.doubled[0]} were alive at once (K1)")
        self._settle_after_life()

    def _note_failed_start(self, life: Life, failures: BaseExceptionGroup[Exception]) -> None:
        """With a failing disk a server may not come up, or not go on; that ends this life."""
        if not any(isinstance(fault, plan.DiskFails | plan.DiskIsFull) for fault in life.faults):
            raise failures
        self.world.trace.note("the server gave up", why=type(_first(failures)).__name__)
        self.world.trace.reached["server gave up"] += 1

    def _settle_after_life(self) -> None:
        """Whatever ended the life, nobody waits for an answer of it, and what was planned to fail does so no more."""
        for voice in self.voices:
            voice.lose_link()
        for command in self.ledger.commands:
            command.lose()
        self.disk.heal()
        self.disk.capacity_bytes = None
        self.disk.on_step = lambda _: None

    async def _serve(self, life: Life, number: int, stage: Stage, die: Die) -> None:
        async with open_premises(self.world, self.disk, stage, number) as premises, trio.open_nursery() as nursery:
            nursery.start_soon(self._strike, life, stage, premises)
            for live in (*(voice.live for voice in self.voices), *(caller.live for caller in self.callers)):
                nursery.start_soon(live, premises)
            await trio.sleep(life.end.at)
            if life.end.ending is not Ending.DRAINED:
                die()
            await _drain(premises)
            nursery.cancel_scope.cancel()
        self.world.trace.reached["drained"] += 1

    def _die(self, ending: Ending, scope: trio.CancelScope) -> None:
        """At once and without a word: what the server still does after this touches nothing and reaches nobody."""
        self.world.trace.note("death", how=ending)
        self.world.trace.reached[f"death {ending}"] += 1
        disk = self.disk
        self.disk = disk.crash(self._power) if ending is Ending.POWER_CUT else disk.kill()
        for voice in self.voices:
            voice.lose_link()
        scope.cancel()

    async def _strike(self, life: Life, stage: Stage, premises: Premises) -> None:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for fault in life.faults:
                await trio.sleep_until(began + fault.at)
                self.world.trace.note("fault", fault=fault)
                match fault:
                    case plan.DiskFails():
                        if fault.at > 0:
                            self._fail(fault)
                    case plan.DiskIsFull():
                        nursery.start_soon(self._fill, fault)
                    case plan.CrashActor():
                        stage.crashes.append(fault)
                    case plan.SandboxFails():
                        stage.sandbox_fails.append(fault)
                    case plan.Passivate(conversation=place):
                        nursery.start_soon(self._passivate, premises, place)

    def _fail(self, fault: plan.DiskFails) -> None:
        self.disk.fail(
            fault.operation,
            fault.path,
            times=fault.times,
            code=fault.code,
            keep_bytes=fault.keep_bytes,
            pages_turn_clean=fault.pages_turn_clean,
        )

    async def _fill(self, fault: plan.DiskIsFull) -> None:
        disk = self.disk
        disk.capacity_bytes = sum(len(file.data) for file in disk.tree.files()) + fault.bytes_left
        await trio.sleep(fault.seconds)
        disk.capacity_bytes = None

    async def _passivate(self, premises: Premises, place: int) -> None:
        known = self.ledger.conversations
        if known:
            await premises.conversations._registry.passivate(known[place % len(known)])

    # --- the calm ----------------------------------------------------------------------------------------------------

    async def _calm(self, number: int) -> None:
        """Nothing fails any more: everything is ready in time, everybody is shown everything, and all of it ends."""
        self.world.trace.note("calm")
        stage = Stage(self.world)
        async with open_premises(self.world, self.disk, stage, number) as premises:
            with trio.move_on_after(CALM_SECONDS) as scope:
                for conversation_id in self.ledger.conversations:
                    await self._is_well(premises, conversation_id)
                for voice in self.voices:
                    await self._sees_everything(premises, voice)
                for conversation_id in self.ledger.conversations:
                    await premises.conversations.stop(conversation_id)
            if scope.cancelled_caught:
                raise Violation(f"not well {CALM_SECONDS:g} s after the last fault (liveness)")
            await _drain(premises)
        if any(stage.alive.values()):
            raise Violation(f"actors alive after the end: {stage.alive}")

    async def _is_well(self, premises: Premises, conversation_id: str) -> None:
        """Ready, or failed with a reason; then somebody starts it, and it takes a message."""
        conversations = premises.conversations
        summary = await conversations.summary(conversation_id)
        if summary is None:
            raise Violation(f"{conversation_id} was created and is not there")
        lifecycle = summary.lifecycle
        if lifecycle["residency"] == Residency.FAILED and not lifecycle["reason"]:
            raise Violation(f"{conversation_id} has failed without a reason")
        self.world.trace.note("found", conversation=conversation_id, **lifecycle)
        if lifecycle["status"] == Status.ARCHIVED:
            await conversations.unarchive(conversation_id)
        text = f"/note calm {conversation_id}"
        command = self.ledger.command("calm", conversation_id, text)
        try:
            await conversations.submit(conversation_id, MessageAction(text), size_bytes=len(text))
        except (ActorError, StorageError) as failure:
            raise Violation(f"{conversation_id} is not well although nothing fails: {failure!r}") from failure
        command.settle(Outcome.ACKNOWLEDGED)

    async def _sees_everything(self, premises: Premises, voice: Voice) -> None:
        """The client comes back, and is shown all that it has missed."""
        if voice.conversation_id not in self.ledger.conversations:
            return

        async def until_the_end_of_the_log() -> None:
            text = f"/note calm {voice.conversation_id}"
            while not any(event.get("args", {}).get("content") == text for event in voice.view):
                await trio.sleep(0.1)

        await voice.visit(premises, until_the_end_of_the_log)

    # --- checking ----------------------------------------------------------------------------------------------------

    def check(self, *more: Checker) -> None:
        """Hold everything that is known against the bytes on the disk."""
        logs = {key: _good_part(data) for key, data in self._logs().items()}
        views = [view for voice in self.voices for view in voice.shown()]
        evidence = Evidence(logs, self._found, self.ledger.commands, views)
        for checker in (*CHECKERS, *more):
            checker.check(evidence)
        for conversation_id in self.ledger.conversations:
            if conversation_id not in logs:
                raise Violation(f"{conversation_id} was created and has no log")
        for conversation_id in self.ledger.deleted:
            if self.disk.exists(log_path(conversation_id)):
                raise Violation(f"{conversation_id} was deleted and is there")
        # What is in the cache alone may still go, with a sync that fails.
        self._found = {key: _good_part(self.disk.tree.file(log_path(key)).durable()) for key in logs}
        self._count_branches(evidence)
        self.world.trace.note("checked", events=sum(data.count(b"\n") for data in logs.values()))

    def _count_branches(self, evidence: Evidence) -> None:
        reached = self.world.trace.reached
        for event in (event for key in evidence.logs for event in evidence.events(key)):
            kind = str(event.get("observation", ""))
            if kind.startswith("greenroom."):
                reached[f"event {kind}"] += 1
            if kind == "greenroom.run_ended":
                reached[f"run {event['extras']['outcome']}"] += 1

    def _logs(self) -> dict[str, bytes]:
        found = {}
        for conversation_id in self.ledger.conversations:
            path = log_path(conversation_id)
            if self.disk.exists(path):
                found[conversation_id] = self.disk.read(path, 0, self.disk.size(path))
        return found


def _good_part(data: bytes) -> bytes:
    """What recovery will keep: a torn end was acknowledged to nobody, and is no evidence."""
    good = offset = 0
    for line in data.splitlines(keepends=True):
        record = decode(line[:-1]) if line.endswith(b"\n") else None
        if record is None:
            break
        offset += len(line)
        if record.place == record.size - 1:
            good = offset
    return data[:good]


class _Countdown:
    """Dies at the n-th step from now."""

    def __init__(self, steps: int, die: Die) -> None:
        self._left = steps
        self._die = die

    def __call__(self, _: Step) -> None:
        self._left -= 1
        if self._left == 0:
            self._die()


async def _drain(premises: Premises) -> None:
    premises.conversations.refuse_commands()
    await premises.server.endpoint.close_all(1)
    await premises.conversations.drain(trio.CancelScope(deadline=trio.current_time() + 3))
