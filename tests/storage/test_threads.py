"""Work in threads: its answers, its errors, how many at once, and that they end with their owner."""

import gc
import threading
import time

import pytest
import trio
import trio.testing

from storage.threads import Threads

pytestmark = pytest.mark.wallclock


def _names(prefix: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


async def test_work_answers_and_raises_in_a_thread_that_is_used_again() -> None:
    threads = Threads("reused", 3)
    assert await threads.run(threading.current_thread) is not threading.main_thread()
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert [await threads.run(lambda: threading.current_thread().name) for _ in range(5)] == ["reused-1"] * 5


async def test_so_many_work_at_once_and_the_others_wait_their_turn() -> None:
    threads = Threads("bounded", 2)
    at_once, most = 0, 0

    def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.01)
        at_once -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(threads.run, work)
    assert most == 2
    assert len(_names("bounded")) == 2


async def test_what_has_begun_is_waited_for_and_what_has_not_is_left_undone() -> None:
    threads, done = Threads("cancelled", 1), threading.Event()
    release = threading.Event()

    def work() -> None:
        release.wait(10)
        done.set()

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(threads.run, work)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(threads.run, lambda: pytest.fail("it was cancelled before"))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            await trio.lowlevel.cancel_shielded_checkpoint()
            release.set()
    assert done.is_set()
    assert await threads.run(lambda: "and on") == "and on"


async def test_threads_end_with_their_owner() -> None:
    threads = Threads("mortal", 2)
    await threads.run(lambda: None)
    assert len(_names("mortal")) == 1
    del threads
    gc.collect()
    deadline = time.monotonic() + 5
    while _names("mortal"):
        assert time.monotonic() < deadline
        await trio.sleep(0.01)


def test_threads_serve_one_run_of_trio_after_the_other() -> None:
    threads = Threads("again", 2)
    for number in range(3):
        assert trio.run(threads.run, lambda number=number: number) == number
