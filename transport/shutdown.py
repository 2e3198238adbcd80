"""When the server is to go: signals, and how long it may take (K35).

What lives here: the clock of a shutdown. What must not: what is done in that time, which is the composition root's.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import structlog
import trio

__all__ = ["Shutdown", "shutdown_on_signals"]

logger = structlog.get_logger(__name__)

TOTAL_SECONDS = 25.0
"""From the signal to the exit; below the 30 s that Kubernetes and systemd's units commonly give."""

GRACE_SECONDS = 10.0
"""For runs to come to their own end."""

HURRY_SECONDS = 3.0
"""What is left after a second signal: whoever asks twice does not want to wait."""

STUCK_SECONDS = 3.0
"""Beyond the total, the process ends whatever a thread or a disk is doing."""


@attrs.frozen
class Shutdown:
    """`begun` is set by the first signal; `grace` and `total` are scopes to work in, which get their deadlines then."""

    begun: trio.Event = attrs.field(factory=trio.Event)
    grace: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    total: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def take(self, number: int) -> None:
        """A signal came."""
        name = signal.Signals(number).name
        if not self.begun.is_set():
            logger.info("stopping", signal=name)
            now = trio.current_time()
            self.grace.deadline, self.total.deadline = now + GRACE_SECONDS, now + TOTAL_SECONDS
            _exit_after(TOTAL_SECONDS + STUCK_SECONDS)
            self.begun.set()
        else:
            logger.info("hurrying", signal=name)
            self.grace.cancel()
            self.total.deadline = min(self.total.deadline, trio.current_time() + HURRY_SECONDS)
            _exit_after(HURRY_SECONDS + STUCK_SECONDS)


@contextmanager
def shutdown_on_signals() -> Iterator[Shutdown]:
    """SIGTERM and SIGINT are the shutdown's for the block, to its last line."""
    shutdown, token = Shutdown(), trio.lowlevel.current_trio_token()

    def handle(number: int, _: object) -> None:
        token.run_sync_soon(shutdown.take, number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield shutdown
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_after(seconds: float) -> None:
    """Trio waits for its threads, and one may wait for a disk that never answers."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()
