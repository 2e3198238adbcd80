"""How long things took, in buckets: cheap enough for the path of a message. Pure; whoever has the clock adds."""

from bisect import bisect_left
from collections.abc import Iterator

import attrs

__all__ = ["Histogram"]

BOUNDS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From a sync of the fastest disk to the slowest that anybody waits for."""


@attrs.define
class Histogram:
    """`counts[k]` are durations above the bound before and up to bound k; the last are those above all bounds."""

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))
    total_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.total_seconds += seconds

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """(bound in seconds, how many took no longer), the last bound being infinity."""
        so_far = 0
        for bound, count in zip((*BOUNDS_SECONDS, float("inf")), self.counts, strict=True):
            so_far += count
            yield bound, so_far
