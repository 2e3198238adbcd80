"""What an operator wants to know of all conversations at once. Pure."""

from collections.abc import Mapping

import attrs

from actors.runtime import RegistryStatistics, Residency
from storage.histogram import Histogram

__all__ = ["Statistics"]


@attrs.frozen
class Statistics:
    """`run_times` count against MAX_CONCURRENT_CONVERSATIONS; `readers_behind` are clients that read from the log at
    their own pace (K33). The histograms go on counting."""

    residency: Mapping[Residency, int]
    run_times: int
    readers: int
    readers_behind: int
    registry: RegistryStatistics
    appends: Histogram
    syncs: Histogram
    replays: Histogram
