"""The benches below the wire, run short: they measure every contestant and print their settings."""

import pytest

from bench.__main__ import main

pytestmark = pytest.mark.wallclock


def test_append_holds_ours_against_raw_and_says_how_durable_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    main(["append", "--writers", "3", "--rounds", "1", "--seconds", "0.05"])
    told = capsys.readouterr().out
    assert "durability: sync, and async" in told
    for name in (
        "raw, 3 files",
        "3 writers ",
        "raw, one file",
        "one writer alone",
        "3 writers, async",
        "share of raw",
        "syncing",
    ):
        assert name in told


def test_commit_tries_every_strategy_for_every_number_of_writers(capsys: pytest.CaptureFixture[str]) -> None:
    main(["commit", "--writers", "1", "5", "--rounds", "1", "--seconds", "0.02"])
    told = capsys.readouterr().out
    for name in ("1 writers", "5 writers", "lanes, 4", "groups, 8 threads", "one journal in front", "one syncfs"):
        assert name in told


def test_revival_opens_and_wakes_histories_of_every_length(capsys: pytest.CaptureFixture[str]) -> None:
    main(["revival", "--events", "40", "70", "--tail", "5", "--rounds", "2", "--wire-rounds", "1"])
    told = capsys.readouterr().out
    assert "durability: sync" in told
    for name in ("opening a log", "raw read", "all read", "a message to a cold conversation", "awake", "40", "70"):
        assert name in told


def test_reading_tells_what_a_page_costs_anywhere_and_what_verifying_does(capsys: pytest.CaptureFixture[str]) -> None:
    main(["reading", "--events", "500", "--rounds", "2"])
    told = capsys.readouterr().out
    for name in ("first", "middle", "last", "an event", "unverified"):
        assert name in told


def test_actors_are_held_against_bare_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    main(["actors", "--actors", "50", "--rounds", "1"])
    told = capsys.readouterr().out
    for name in ("50 at once", "a bare task", "an actor", "times the memory"):
        assert name in told
