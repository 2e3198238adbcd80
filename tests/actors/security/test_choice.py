"""Two choices, one judge: what a user sets adds to what the operator has set."""

import pytest

from actors.domain.events import RunAction
from actors.security.choice import ANALYZERS, Choice, judge_for
from actors.security.policy import Ruling
from actors.security.port import Risk

ON, OFF = Choice(confirmation_mode=True), Choice()
LOOKS = Choice(analyzer="rules")
DANGER = RunAction("rm -rf /")


@pytest.mark.parametrize(
    ("operator", "user", "risk", "ruling"),
    [
        (OFF, OFF, Risk.UNKNOWN, Ruling.ALLOW),
        (ON, OFF, Risk.UNKNOWN, Ruling.CONFIRM),
        (OFF, ON, Risk.UNKNOWN, Ruling.CONFIRM),
        (LOOKS, OFF, Risk.HIGH, Ruling.ALLOW),
        (OFF, LOOKS, Risk.HIGH, Ruling.ALLOW),
        (LOOKS, ON, Risk.HIGH, Ruling.CONFIRM),
        (LOOKS, Choice(analyzer="llm"), Risk.HIGH, Ruling.ALLOW),
        (ON, Choice(analyzer="llm"), Risk.UNKNOWN, Ruling.CONFIRM),
        (Choice(analyzer="none"), LOOKS, Risk.HIGH, Ruling.ALLOW),
        (Choice(analyzer="rules", rulings={Risk.HIGH: Ruling.DENY}), ON, Risk.HIGH, Ruling.DENY),
    ],
)
def test_the_stricter_choice_holds(operator: Choice, user: Choice, risk: Risk, ruling: Ruling) -> None:
    verdict = judge_for(operator, user).rule(DANGER)
    assert (verdict.risk, verdict.ruling) == (risk, ruling)


def test_an_analyzer_goes_by_its_name() -> None:
    assert all(analyzer.name == name for name, analyzer in ANALYZERS.items())
