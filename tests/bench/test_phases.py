"""The benches of a server's life, run short: every phase has its line, and what was acknowledged is looked for."""

import pytest

from bench import idle, known
from bench.__main__ import main

pytestmark = pytest.mark.wallclock


def test_p12_idle_conversations_come_and_go_and_nothing_acknowledged_is_lost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "FIRST", 2)
    monkeypatch.setattr(idle, "QUIET_SECONDS", 0.1)
    main(["idle", "--hot", "5", "--connected", "3"])
    told = capsys.readouterr().out
    for name in ("at rest", "hot and idle", "GET /metrics", "SIGTERM", "7 logs whole", "hibernated, with a client"):
        assert name in told


def test_p8_a_server_that_knows_many_is_held_against_one_that_knows_nobody(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "FIRST", 2)
    monkeypatch.setattr(known, "PAGE", 7)
    main(["known", "--known", "20", "--events", "5", "--hot", "3", "--rounds", "1"])
    told = capsys.readouterr().out
    for name in ("the libraries alone", "knows nobody", "knows them", "is known", "every page", "woken", "SIGTERM"):
        assert name in told
