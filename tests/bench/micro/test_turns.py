"""What the benches below the wire count and how they compare it."""

from pathlib import Path

from bench.micro.turns import RECORD, Turn, open_files, rates_against, raw_lanes, take_turns


def test_raw_lanes_count_what_they_wrote_into_every_file(tmp_path: Path) -> None:
    with open_files(tmp_path / "raw", 3) as files:
        turn = raw_lanes(files, threads=4, seconds=0.05)
    sizes = [path.stat().st_size for path in (tmp_path / "raw").iterdir()]
    assert sum(sizes) == turn.appends * len(RECORD)
    assert (len(sizes), len(turn.waits)) == (3, turn.appends)
    assert min(sizes) > 0


async def test_turns_are_taken_round_by_round() -> None:
    taken: list[str] = []

    async def first() -> Turn:
        taken.append("first")
        return Turn(10, 1.0)

    async def second() -> Turn:
        taken.append("second")
        return Turn(5 * len(taken), 1.0)

    turns = await take_turns({"first": first, "second": second}, 2)
    assert taken == ["first", "second", "first", "second"]
    assert rates_against(turns["second"], turns["first"]) == [1.0, 2.0]


def test_a_wait_is_the_nearest_rank() -> None:
    turn = Turn(4, 2.0, (0.4, 0.1, 0.3, 0.2))
    assert (turn.per_second, turn.wait(0), turn.wait(0.5), turn.wait(1)) == (2.0, 0.1, 0.3, 0.4)
