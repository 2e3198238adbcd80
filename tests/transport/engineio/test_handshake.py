"""What is asked of Engine.IO, and which refusal it gets, by the codes of the edges."""

import orjson
import pytest

from transport.engineio.handshake import Ask, Problem, Refusal, check, parse_query
from transport.engineio.session import Transport

KNOWN = {"poller": Transport.POLLING, "socket": Transport.WEBSOCKET}


def ask(query: str, *, method: str = "GET", websocket: bool = False) -> Ask | Refusal:
    return check(method, parse_query(query.encode()), KNOWN, websocket=websocket)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        pytest.param("EIO=4", Problem.UNKNOWN_TRANSPORT, id="A1 no transport"),
        pytest.param("EIO=4&transport=zzz", Problem.UNKNOWN_TRANSPORT, id="A1 transport"),
        pytest.param("EIO=4&transport=polling&sid=nobody", Problem.UNKNOWN_SID, id="A3"),
        pytest.param("EIO=4&transport=polling&sid=__proto__", Problem.UNKNOWN_SID, id="A3 __proto__"),
        pytest.param("transport=polling&sid=poller", Problem.BAD_REQUEST, id="A4"),
        pytest.param("EIO=3&transport=polling", Problem.UNSUPPORTED_VERSION, id="A5"),
        pytest.param("transport=polling", Problem.UNSUPPORTED_VERSION, id="A5 missing"),
        pytest.param("EIO=4&transport=websocket", Problem.BAD_REQUEST, id="A6"),
        pytest.param("EIO=4&transport=websocket&sid=poller", Problem.BAD_REQUEST, id="A6 with sid"),
        pytest.param("EIO=4&transport=polling&sid=socket", Problem.BAD_REQUEST, id="D11 D12"),
        pytest.param("&".join(f"k{n}=v" for n in range(200)), Problem.BAD_REQUEST, id="a query without end"),
    ],
)
def test_refused_requests(query: str, problem: Problem) -> None:
    assert ask(query) == Refusal(problem)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
def test_a7_other_methods(method: str) -> None:
    assert ask("EIO=4&transport=polling&sid=poller", method=method) == Refusal(Problem.BAD_REQUEST)
    assert ask("EIO=4&transport=polling", method=method) == Refusal(Problem.BAD_METHOD)


@pytest.mark.parametrize(
    "query",
    ["EIO=4&transport=polling", "EIO=3&transport=websocket", "transport=websocket"],
    ids=["B3", "B2", "B2 none"],
)
def test_refused_upgrades(query: str) -> None:
    assert isinstance(ask(query, websocket=True), Refusal)


def test_accepted() -> None:
    assert ask("EIO=4&transport=polling") == Ask(Transport.POLLING, None)
    assert ask("EIO=4&transport=websocket", websocket=True) == Ask(Transport.WEBSOCKET, None)
    assert ask("EIO=4&transport=websocket&sid=poller", websocket=True) == Ask(Transport.WEBSOCKET, "poller")
    assert ask("EIO=4&transport=polling&sid=poller", method="POST") == Ask(Transport.POLLING, "poller")


def test_a27_the_last_of_repeated_keys_wins_and_all_are_kept() -> None:
    query = parse_query(b"EIO=3&x=1&EIO=4&x=%C3%A9&empty=")
    assert query is not None
    assert query.last == {"EIO": "4", "x": "é", "empty": ""}
    assert query.all["x"] == ["1", "é"]


def test_a1_the_body_of_a_refusal() -> None:
    assert orjson.loads(Refusal(Problem.UNKNOWN_SID).body) == {"code": 1, "message": "Session ID unknown"}
