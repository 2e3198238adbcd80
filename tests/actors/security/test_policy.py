"""What follows from a risk."""

import attrs
import pytest

from actors.domain.events import RunAction
from actors.security.policy import Judge, Ruling, Verdict, choose_policy
from actors.security.port import Analyzer, Assessment, Risk

ALLOW, CONFIRM, DENY = Ruling.ALLOW, Ruling.CONFIRM, Ruling.DENY


@attrs.frozen
class Always:
    """Whatever it is shown is this risky."""

    risk: Risk
    name: str = "always"

    def assess(self, action: RunAction) -> Assessment:
        return Assessment(self.risk, f"it says {action.command}")


@pytest.mark.parametrize(
    ("mode", "overrides", "expected"),
    [
        (False, {}, [ALLOW, ALLOW, ALLOW, ALLOW]),
        (True, {}, [CONFIRM, ALLOW, ALLOW, CONFIRM]),
        (True, {Risk.HIGH: DENY, Risk.MEDIUM: CONFIRM}, [CONFIRM, ALLOW, CONFIRM, DENY]),
        (True, {Risk.UNKNOWN: ALLOW}, [ALLOW, ALLOW, ALLOW, CONFIRM]),
        (False, {Risk.HIGH: CONFIRM}, [ALLOW, ALLOW, ALLOW, CONFIRM]),
    ],
)
def test_the_mode_rules_and_what_is_said_of_a_risk_wins(
    mode: bool,  # noqa: FBT001 - a column of the table
    overrides: dict[Risk, Ruling],
    expected: list[Ruling],
) -> None:
    policy = choose_policy(confirmation_mode=mode, overrides=overrides)
    assert [policy[risk] for risk in Risk] == expected


@pytest.mark.parametrize("risk", Risk)
def test_a_verdict_is_the_policys_with_the_analyzers_reason(risk: Risk) -> None:
    analyzer: Analyzer = Always(risk)
    policy = choose_policy(confirmation_mode=True, overrides={})
    verdict = Judge(policy, analyzer).rule(RunAction("x"))
    assert verdict == Verdict(policy[risk], risk, f"{risk.name.lower()} risk: it says x")


def test_without_an_analyzer_every_risk_is_unknown_and_without_a_policy_everything_is_allowed() -> None:
    assert Judge().rule(RunAction("rm -rf /")) == Verdict(ALLOW, Risk.UNKNOWN, "unknown risk: nobody has looked at it")
    asks = Judge(choose_policy(confirmation_mode=True, overrides={}))
    assert asks.rule(RunAction("ls")).ruling is CONFIRM
