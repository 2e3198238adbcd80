"""The tree of supervision: who is started again, who gives up, and in which order all of it ends (K25, K35)."""

from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio

from actors.runtime import Child, Escalated, Restart, RestartPolicy, StopOrder, open_supervisor
from actors.runtime.supervisor import CANCEL_DEADLINE_SECONDS

POLICY = RestartPolicy(restarts_max=2, window_seconds=10, first_delay_seconds=1, longest_delay_seconds=4, jitter=0)


@attrs.define
class Diary:
    """What children did, in order."""

    lines: list[str] = attrs.field(factory=list)

    def runs(self, name: str, *, crashes: int = 0, returns: bool = False) -> Callable[[], Awaitable[None]]:
        """Work that crashes so often, and then returns or goes on until it is cancelled."""
        lives = 0

        async def work() -> None:
            nonlocal lives
            lives += 1
            self.lines.append(f"{name} up")
            await trio.lowlevel.checkpoint()
            if lives <= crashes:
                raise ZeroDivisionError(name)
            if not returns:
                try:
                    await trio.sleep_forever()
                finally:
                    self.lines.append(f"{name} down")

        return work


async def live(*children: Child) -> None:
    """A node with these children, for as long as it lasts."""
    async with open_supervisor("node", policy=POLICY) as node:
        for child in children:
            node.start(child)
        await trio.sleep_forever()


async def fail() -> None:
    async with open_supervisor("node") as node:
        node.start(Child("a", trio.sleep_forever))
        raise LookupError


async def test_k25_a_permanent_child_is_started_again_however_it_ends(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with open_supervisor("node", policy=POLICY) as node:
        node.start(Child("crashing", diary.runs("a", crashes=1)))
        await trio.testing.wait_all_tasks_blocked()
        [child] = node.statistics().children
        assert child.retry_at is not None
        assert trio.current_time() < child.retry_at <= trio.current_time() + 1.2
        await trio.sleep(1.5)
        assert diary.lines == ["a up", "a up"]
        [child] = node.statistics().children
        assert (child.restarts, child.last_failure) == (1, "ZeroDivisionError('a')")
        assert child.retry_at is None

    async with open_supervisor("other", policy=POLICY) as node:
        node.start(Child("returning", diary.runs("b", returns=True)))
        await trio.sleep(1.5)
        assert diary.lines[-2:] == ["b up", "b up"]


async def test_k25_a_transient_child_is_started_again_when_it_crashed_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    diary = Diary()
    async with open_supervisor("node", policy=POLICY) as node:
        node.start(Child("a", diary.runs("a", crashes=1, returns=True), Restart.TRANSIENT))
        await trio.sleep(20)
        assert node.statistics().children == ()
    assert diary.lines == ["a up", "a up"]


@pytest.mark.parametrize("crashes", [0, 1])
async def test_k25_a_temporary_child_lives_once(crashes: int, autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with open_supervisor("node", policy=POLICY) as node:
        node.start(Child("a", diary.runs("a", crashes=crashes, returns=True), Restart.TEMPORARY))
        await trio.sleep(20)
        assert node.statistics() == attrs.evolve(node.statistics(), recent_crashes=0, children=())
    assert diary.lines == ["a up"]


async def test_k24_siblings_of_a_crash_do_not_notice(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with open_supervisor("node", policy=POLICY) as node:
        node.start(Child("steady", diary.runs("steady")))
        node.start(Child("crashing", diary.runs("crashing", crashes=2)))
        await trio.sleep(20)
        assert sorted(diary.lines) == ["crashing up", "crashing up", "crashing up", "steady up"]


async def test_k25_who_crashes_too_often_takes_the_node_with_it_and_the_siblings_end_in_reverse_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    diary = Diary()
    children = [Child(name, diary.runs(name, crashes=9 if name == "bad" else 0)) for name in ("first", "second", "bad")]
    with pytest.raises(Escalated) as caught:
        await live(*children)
    assert (caught.value.supervisor, caught.value.child, caught.value.crashes) == ("node", "bad", 3)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert diary.lines[-2:] == ["second down", "first down"]
    assert diary.lines.count("bad up") == 3


async def test_k25_crashes_that_are_long_past_do_not_count(autojump_clock: trio.testing.MockClock) -> None:
    async def crash() -> None:
        await trio.sleep(9)
        raise ZeroDivisionError

    async with open_supervisor("node", policy=POLICY) as node:
        node.start(Child("now and then", crash))
        await trio.sleep(500)
        assert node.statistics().children[0].restarts > 40
        assert node.statistics().recent_crashes <= 2


async def test_k25_a_node_that_gives_up_is_a_crash_in_the_node_above(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    nodes = 0

    async def inner() -> None:
        nonlocal nodes
        nodes += 1
        async with open_supervisor("inner", policy=POLICY) as node:
            node.start(Child("bad", diary.runs("bad", crashes=9 if nodes == 1 else 0)))
            await trio.sleep_forever()

    async with open_supervisor("outer", policy=POLICY) as outer:
        outer.start(Child("inner", inner))
        outer.start(Child("other", diary.runs("other")))
        await trio.sleep(60)
        assert nodes == 2
        assert outer.statistics().children[0].restarts == 1
        assert "Escalated" in outer.statistics().children[0].last_failure
        assert "other down" not in diary.lines
    assert diary.lines[-2:] == ["other down", "bad down"]


async def test_k35_the_block_ends_with_the_children_gone_the_last_started_first() -> None:
    diary = Diary()
    async with open_supervisor("node") as node:
        for name in ("first", "second", "third"):
            node.start(Child(name, diary.runs(name)))
        await trio.testing.wait_all_tasks_blocked()
    assert diary.lines[3:] == ["third down", "second down", "first down"]


async def test_k35_the_order_holds_when_everything_is_cancelled_at_once() -> None:
    diary = Diary()
    with trio.CancelScope() as scope:
        async with open_supervisor("node") as node:
            for name in ("first", "second", "third"):
                node.start(Child(name, diary.runs(name)))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert diary.lines[3:] == ["third down", "second down", "first down"]


async def test_k35_who_is_asked_to_stop_has_its_deadline_and_is_cancelled_then(
    autojump_clock: trio.testing.MockClock,
) -> None:
    diary = Diary()
    asked = trio.Event()

    async def polite() -> None:
        await asked.wait()
        await trio.sleep(3)
        diary.lines.append("polite is done")

    async with open_supervisor("node") as node:
        node.start(Child("polite", polite, stop=asked.set))
        node.start(Child("deaf", diary.runs("deaf"), stop=lambda: diary.lines.append("asked"), stop_deadline_seconds=7))
        await trio.sleep(1)
        began = trio.current_time()
    assert diary.lines == ["deaf up", "asked", "deaf down", "polite is done"]
    assert trio.current_time() - began == pytest.approx(10)


async def test_k35_who_shields_itself_holds_up_nobody_else_for_long(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    ends: list[float] = []

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(60)

    async def watchful() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ends.append(trio.current_time())

    async with open_supervisor("node") as node:
        node.start(Child("watchful", watchful))
        node.start(Child("stubborn", stubborn))
        await trio.sleep(1)
        began = trio.current_time()
    assert ends[0] - began == pytest.approx(CANCEL_DEADLINE_SECONDS)
    assert diary.lines == []


async def test_k35_nobody_is_started_again_while_the_node_ends(autojump_clock: trio.testing.MockClock) -> None:
    lives = 0
    asked = trio.Event()

    async def crash_when_asked() -> None:
        nonlocal lives
        lives += 1
        await asked.wait()
        raise ZeroDivisionError

    async with open_supervisor("node", policy=POLICY) as node:
        node.start(Child("a", crash_when_asked, stop=asked.set))
        await trio.sleep(1)
    assert lives == 1


async def test_one_child_can_be_stopped_alone() -> None:
    diary = Diary()
    async with open_supervisor("node") as node:
        stop = node.start(Child("one", diary.runs("one")))
        node.start(Child("two", diary.runs("two")))
        await trio.testing.wait_all_tasks_blocked()
        await stop()
        assert diary.lines[2:] == ["one down"]
        assert [child.name for child in node.statistics().children] == ["two"]
        assert repr(node) == "<Supervisor node children=1>"


async def test_a_child_that_waits_for_its_restart_is_stopped_at_once(autojump_clock: trio.testing.MockClock) -> None:
    policy = attrs.evolve(POLICY, first_delay_seconds=100, longest_delay_seconds=100)
    asked: list[str] = []
    async with open_supervisor("node", policy=policy) as node:
        node.start(Child("a", Diary().runs("a", crashes=9), stop=lambda: asked.append("a")))
        await trio.sleep(1)
        began = trio.current_time()
    assert trio.current_time() == began
    assert asked == []


async def test_what_the_block_raises_is_raised() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await fail()
    assert caught.group_contains(LookupError)


async def test_k35_many_of_a_kind_are_stopped_together(autojump_clock: trio.testing.MockClock) -> None:
    async def slow_to_go() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    async with open_supervisor("node", order=StopOrder.TOGETHER) as node:
        for number in range(100):
            node.start(Child(f"run {number}", slow_to_go, Restart.TEMPORARY))
        await trio.sleep(1)
        began = trio.current_time()
    assert trio.current_time() - began == pytest.approx(2)


async def test_the_tree_shows_the_nodes_below_while_they_are_there() -> None:
    async with open_supervisor("server") as server:
        async with (
            open_supervisor("conversations", below=server) as conversations,
            open_supervisor("run-times", below=conversations) as run_times,
        ):
            run_times.start(Child("run 1", trio.sleep_forever, Restart.TEMPORARY))
            [found] = server.statistics().nodes
            assert (found.name, found.nodes[0].name, found.nodes[0].children[0].name) == (
                "conversations",
                "run-times",
                "run 1",
            )
        assert server.statistics().nodes == ()


@pytest.mark.parametrize("order", StopOrder)
async def test_k35_who_is_started_while_the_node_ends_is_stopped_too(
    order: StopOrder, autojump_clock: trio.testing.MockClock
) -> None:
    diary = Diary()
    with trio.fail_after(60):
        async with open_supervisor("node", order=order) as node:

            async def leave_an_heir() -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    node.start(Child("heir", diary.runs("heir")))

            node.start(Child("parent", leave_an_heir))
            await trio.testing.wait_all_tasks_blocked()
    assert diary.lines in ([], ["heir up", "heir down"])
