"""`python -m bench`: which bench runs, and what it says when something is wrong."""

import pytest

from bench.__main__ import BENCHES, main


def test_a_bench_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(SystemExit, match=r"no bench 'fly'.*round-trip.*append.*commit"):
        main(["fly"])


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"bench {name}" in capsys.readouterr().out


def test_without_a_name_it_is_the_round_trip(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "(P1)" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"bench: .*No such file"):
        main(["append", "--folder", "/nowhere/at/all"])
