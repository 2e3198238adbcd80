"""What the bench says of its numbers."""

from bench.baseline import RawSyncs
from bench.report import comparison, raw_line, table
from bench.round_trip import Measured


def turn(latency: float, cpu_seconds: float | None) -> Measured:
    return Measured((latency / 2, latency, latency * 2), 1.5, cpu_seconds)


def test_ratios_are_taken_round_by_round_and_shown_with_their_spread() -> None:
    ours, theirs = [turn(0.001, 0.003), turn(0.002, 0.003)], [turn(0.002, 0.006), turn(0.002, 0.009)]
    assert comparison(ours, theirs) == "peer / ours: CPU a message 2.50 (2.00 to 3.00), p50 1.50 (1.00 to 2.00)"


def test_a_server_whose_cpu_time_cannot_be_read_has_none_told() -> None:
    ours, theirs = [turn(0.001, None)], [turn(0.002, 0.006)]
    assert comparison(ours, theirs) == "peer / ours: p50 2.00 (2.00 to 2.00)"
    assert table({"far away": ours}).splitlines()[1].split() == ["far", "away", "2", "-", "1.00", "2.00", "2.00"]


def test_the_table_holds_medians_in_milliseconds_and_microseconds() -> None:
    line = table({"it": [turn(0.001, 0.003), turn(0.002, 0.006), turn(0.004, 0.009)]}).splitlines()[1]
    assert line.split() == ["it", "2", "2000", "2.00", "4.00", "4.00"]


def test_the_baseline_shows_how_far_the_disk_strayed() -> None:
    raws = [RawSyncs(7000, 0.0001), RawSyncs(500, 0.002), RawSyncs(6000, 0.0002)]
    assert raw_line(raws) == "raw write + fdatasync, one file: 6,000/s (500 to 7,000), p50 0.20 ms (0.10 to 2.00)"
