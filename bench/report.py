"""What a bench prints: settings, baseline, a line a server, and ratios with their spread."""

from collections.abc import Mapping, Sequence
from statistics import median

from bench.baseline import RawSyncs
from bench.round_trip import Measured

__all__ = ["comparison", "first_failure", "nearest_rank", "raw_line", "spread", "table"]


def raw_line(raws: Sequence[RawSyncs]) -> str:
    """The baseline over all rounds."""
    rates, middles = [raw.per_second for raw in raws], [raw.p50_seconds * 1e3 for raw in raws]
    return (
        f"raw write + fdatasync, one file: {median(rates):,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f}), "
        f"p50 {median(middles):.2f} ms ({min(middles):.2f} to {max(middles):.2f})"
    )


def table(turns: Mapping[str, Sequence[Measured]]) -> str:
    """The median over the rounds for each server."""
    lines = [f"{'':18}{'messages/s':>12}{'server CPU-µs':>15}{'p50 ms':>9}{'p90 ms':>9}{'p99 ms':>9}"]
    for name, measured in turns.items():
        cpus = [turn.cpu_microseconds for turn in measured if turn.cpu_microseconds is not None]
        cpu = f"{median(cpus):.0f}" if cpus else "-"
        rate = median(turn.per_second for turn in measured)
        waits = [median(turn.percentile(share) for turn in measured) * 1e3 for share in (0.5, 0.9, 0.99)]
        lines.append(f"{name:18}{rate:12,.0f}{cpu:>15}" + "".join(f"{wait:9.2f}" for wait in waits))
    return "\n".join(lines)


def comparison(ours: Sequence[Measured], theirs: Sequence[Measured]) -> str:
    """Ratios round by round, so that a noisy minute hits both sides: theirs / ours, above 1 is better for us."""
    cpu = [
        peer.cpu_microseconds / own.cpu_microseconds
        for own, peer in zip(ours, theirs, strict=True)
        if own.cpu_microseconds and peer.cpu_microseconds
    ]
    p50 = [peer.percentile(0.5) / own.percentile(0.5) for own, peer in zip(ours, theirs, strict=True)]
    told = [f"{name} {spread(ratios)}" for name, ratios in (("CPU a message", cpu), ("p50", p50)) if ratios]
    return "peer / ours: " + ", ".join(told)


def spread(ratios: Sequence[float]) -> str:
    """The median, and how far the rounds lie apart."""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The value that so large a share does not exceed; `share` from 0 to 1."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def first_failure(failure: BaseException) -> BaseException:
    """One of those that nurseries have wrapped, for the one line that is told."""
    return first_failure(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure
