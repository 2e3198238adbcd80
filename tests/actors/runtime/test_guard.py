"""The supervisors' guard lets nothing through but a cancellation."""

import structlog
import trio

from actors.runtime import guarded


async def crash() -> None:
    await trio.lowlevel.checkpoint()
    raise ZeroDivisionError("oh")


async def test_what_is_raised_is_logged_with_its_facts_and_returned() -> None:
    with structlog.testing.capture_logs() as lines:
        failure = await guarded(crash, "child_crashed", key="a")
    assert isinstance(failure, ZeroDivisionError)
    assert [(line["event"], line["key"], line["log_level"]) for line in lines] == [("child_crashed", "a", "error")]


async def test_who_returns_has_not_failed() -> None:
    assert await guarded(trio.lowlevel.checkpoint, "child_crashed") is None


async def test_an_error_that_comes_with_a_cancellation_is_logged_and_the_cancellation_goes_on() -> None:
    async def crash_when_cancelled() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ZeroDivisionError("oh")

    after = False
    with structlog.testing.capture_logs() as lines, trio.CancelScope() as scope:
        scope.cancel()
        await guarded(crash_when_cancelled, "child_crashed")
        await trio.lowlevel.checkpoint()
        after = True
    assert scope.cancelled_caught
    assert not after
    assert [line["event"] for line in lines] == ["child_crashed"]
