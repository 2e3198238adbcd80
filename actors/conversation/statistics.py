"""What an operator wants to know, of all conversations at once and of a single one. Pure."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from actors.conversation.decision import Live
from actors.conversation.idle import Sitting
from actors.conversation.state import State
from actors.runtime import RegistryStatistics, Residency
from actors.sandbox.port import SandboxStatistics
from storage.histogram import Histogram

__all__ = ["Activity", "ConversationStatistics", "RunTimeStatistics", "Statistics"]


@attrs.frozen
class Statistics:
    """`run_times` count against MAX_CONCURRENT_CONVERSATIONS; `readers_behind` are clients that read from the log at
    their own pace (K33). The histograms go on counting.
    `files_ailing` take no writes for now, as an error hit them alone (K14); `owed_seconds` is the age of the oldest
    write that was acknowledged and is not synced (K9)."""

    residency: Mapping[Residency, int]
    run_times: int
    readers: int
    readers_behind: int
    registry: RegistryStatistics
    appends: Histogram
    syncs: Histogram
    replays: Histogram
    storage_degraded: bool
    files_ailing: int
    owed_seconds: float


class Activity(StrEnum):
    """What a run-time is at."""

    RESTING = "resting"
    OPENING = "opening"  # its sandbox is being made
    RUNNING = "running"  # the agent works
    REPORTING = "reporting"  # what it has to tell was refused, by a full mailbox or a disk, and is told again
    CLOSING = "closing"  # its processes are being ended


@attrs.frozen
class RunTimeStatistics:
    """What it is at, `since` when and until when at the latest: in `trio.current_time()` seconds, None for no limit.
    `run` is the id of the run that is live, `sandbox` None as long as there is none."""

    activity: Activity
    since: float
    gives_up_at: float | None
    run: int | None
    sandbox: SandboxStatistics | None


@attrs.frozen
class ConversationStatistics:
    """A conversation as whoever holds it sees it: its actor or, while that is out of memory, what it left behind.

    `run_time` is None until one was made.
    """

    state: State
    live: Live
    sitting: Sitting
    readers_behind: int
    run_time: RunTimeStatistics | None
