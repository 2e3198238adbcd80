"""Who judges, as the operator and the user have chosen. Pure.

What lives here: the analyzers there are, and how two choices become one judge: what a user sets adds to what the
operator has set and takes nothing of it away. What must not: where the choices are kept.
"""

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from actors.security.policy import Judge, Ruling, choose_policy
from actors.security.port import Analyzer, Risk
from actors.security.rules import Rules

__all__ = ["ANALYZERS", "Choice", "judge_for"]

ANALYZERS: Mapping[str, Analyzer] = MappingProxyType({"rules": Rules()})


@attrs.frozen
class Choice:
    """`analyzer` is a name; one that is not among the analyzers looks at nothing, so that every risk is unknown."""

    confirmation_mode: bool = False
    analyzer: str = ""
    rulings: Mapping[Risk, Ruling] = attrs.field(factory=dict)


def judge_for(operator: Choice, user: Choice) -> Judge:
    """The rulings are the operator's alone."""
    confirmation_mode = operator.confirmation_mode or user.confirmation_mode
    policy = choose_policy(confirmation_mode=confirmation_mode, overrides=operator.rulings)
    return Judge(policy, ANALYZERS.get(operator.analyzer) or ANALYZERS.get(user.analyzer))
