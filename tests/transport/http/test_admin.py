"""The operator's routes: a plan to look at, and an order that names it. The cut itself is in `e2e/test_operator`."""

import pytest
from quart.typing import TestClientProtocol as Client

UNKNOWN = "/api/admin/conversations/nobody/repair"


def repair_of(conversation_id: str) -> str:
    return f"/api/admin/conversations/{conversation_id}/repair"


async def test_a_whole_log_has_nothing_to_repair(client: Client, conversation_id: str) -> None:
    for answer in (
        await client.get(repair_of(conversation_id)),
        await client.post(repair_of(conversation_id), json={"keep_events": 1}),
    ):
        assert answer.status_code == 409
        assert (await answer.get_json())["code"] == "nothing_to_repair"


async def test_who_is_not_there_is_not_found(client: Client) -> None:
    assert (await client.get(UNKNOWN)).status_code == 404
    assert (await client.post(UNKNOWN, json={"keep_events": 1})).status_code == 404


@pytest.mark.parametrize("body", [{}, {"keep_events": "1"}, {"keep_events": True}, {"keep_events": 1, "yes": True}])
async def test_an_order_that_names_no_plan_is_not_understood(
    client: Client, conversation_id: str, body: dict[str, object]
) -> None:
    answer = await client.post(repair_of(conversation_id), json=body)
    assert answer.status_code == 422
    assert (await answer.get_json())["detail"][0]["loc"] == ["body", "keep_events"]
