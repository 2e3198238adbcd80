"""What follows from a risk: an action is allowed, confirmed by the user first, or denied. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import attrs

from actors.domain.events import RunAction
from actors.security.port import Analyzer, Assessment, Risk

__all__ = ["Judge", "Policy", "Ruling", "Verdict", "choose_policy"]

NO_ANALYZER = Assessment(Risk.UNKNOWN, "nobody has looked at it")


class Ruling(StrEnum):
    """What is done with an action."""

    ALLOW = "allow"
    CONFIRM = "confirm"  # the user is asked
    DENY = "deny"


Policy = Mapping[Risk, Ruling]
"""A ruling for each risk."""

ALLOW_ALL: Policy = MappingProxyType(dict.fromkeys(Risk, Ruling.ALLOW))

CONFIRMATION_MODE: Policy = MappingProxyType(
    {**ALLOW_ALL, Risk.HIGH: Ruling.CONFIRM, Risk.UNKNOWN: Ruling.CONFIRM}  # contract §5
)


@attrs.frozen
class Verdict:
    """`reason` says why, for whoever is asked or refused."""

    ruling: Ruling
    risk: Risk
    reason: str


def choose_policy(*, confirmation_mode: bool, overrides: Mapping[Risk, Ruling]) -> Policy:
    """V0's rule for the mode, and over it what the operator has said of single risks."""
    return {**(CONFIRMATION_MODE if confirmation_mode else ALLOW_ALL), **overrides}


@attrs.frozen
class Judge:
    """Rules on actions: the analyzer's assessment, or an unknown risk without one, by the policy."""

    policy: Policy = ALLOW_ALL
    analyzer: Analyzer | None = None

    def rule(self, action: RunAction) -> Verdict:
        assessment = self.analyzer.assess(action) if self.analyzer is not None else NO_ANALYZER
        reason = f"{assessment.risk.name.lower()} risk"
        if assessment.reason:
            reason = f"{reason}: {assessment.reason}"
        return Verdict(self.policy[assessment.risk], assessment.risk, reason)
