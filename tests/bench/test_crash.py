"""The campaign against the real server; that it can find something, too."""

from pathlib import Path

import pytest

from bench.checkers import Violation
from bench.crash import Campaign, _check_all, run_campaign
from bench.voices import Voice

pytestmark = pytest.mark.wallclock


async def test_k11_k13_two_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    findings = await run_campaign(Campaign(rounds=2, conversations=2, seconds_max=0.8, seed=20261124), tmp_path)
    assert findings.rounds == 2
    assert findings.acknowledged > 10
    assert len(findings.recoveries) == 2
    assert findings.created > 2
    conversation_id = next(path.name for path in (tmp_path / "data" / "conversations").iterdir())
    liar = Voice("liar", conversation_id, acknowledged=["/note never sent"])
    with pytest.raises(Violation, match="lost: '/note never sent'"):
        _check_all(tmp_path / "data", [liar])
