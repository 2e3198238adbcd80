"""Logs: one line a fact on stderr, from structlog and from the standard library alike."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from websockets.server import ServerProtocol

from actors.domain.masks import MASK, masks_of
from actors.runtime import guarded
from transport.logs import configure


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    before = structlog.get_config()
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**before)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_fact_is_one_json_line_with_time_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", as_json=True)
    structlog.get_logger().info("opened", conversation_id="c1")
    structlog.get_logger().debug("too fine")
    (line,) = _lines(capsys)
    assert (line["event"], line["conversation_id"], line["level"]) == ("opened", "c1", "info")
    assert str(line["timestamp"]).endswith("Z")


async def test_a_crash_that_the_kernel_logs_is_found_by_its_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", as_json=True)

    async def crash() -> None:
        raise ValueError("why")

    await guarded(crash, "actor_crashed", key="c1")
    (line,) = _lines(capsys)
    assert (line["event"], line["conversation_id"]) == ("actor_crashed", "c1")


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", as_json=True)
    structlog.get_logger().error("failed", error_id="e1", exc_info=ValueError("why"))
    (line,) = _lines(capsys)
    assert "why" in json.dumps(line["exception"])


def test_libraries_speak_through_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", as_json=True)
    logging.getLogger("a.library").warning("%d left", 3)
    logging.getLogger("a.library").log(35, "between the levels")
    logging.getLogger("a.library").info("too fine")
    lines = _lines(capsys)
    assert [(line["event"], line["level"]) for line in lines] == [
        ("3 left", "warning"),
        ("between the levels", "warning"),
    ]
    assert lines[0]["logger"] == "a.library"


def test_for_people_it_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", as_json=False)
    structlog.get_logger().info("opened", conversation_id="c1")
    assert "opened" in capsys.readouterr().err


def _fail(key: str) -> None:
    raise ValueError(len(key))


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_tells_no_values_of_variables(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    configure("debug", as_json=as_json)
    try:
        _fail(f"s3{'cr3t'}")
    except ValueError as failure:
        structlog.get_logger().error("failed", exc_info=failure)
    told = capsys.readouterr().err
    assert "ValueError" in told
    assert "s3cr3t" not in told


def test_upgrades_are_not_logged_with_their_headers_at_any_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", as_json=True)
    upgrade = b"GET /?session_api_key=s3cr3t HTTP/1.1\r\nHost: a\r\nX-Session-API-Key: s3cr3t\r\n\r\n"
    ServerProtocol().receive_data(upgrade)
    logging.getLogger("a.library").debug("logged")
    told = capsys.readouterr().err
    assert "logged" in told
    assert "s3cr3t" not in told


@pytest.mark.parametrize("as_json", [True, False])
def test_no_line_shows_a_secret_whoever_logs_it(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:  # noqa: FBT001
    secret = 'wörd "4711"'  # noqa: S105 - of nobody
    configure("info", as_json=as_json, masks=lambda: masks_of([secret]))
    structlog.get_logger().error(
        "failed", exc_info=ValueError(secret), reason=f"for {secret}", detail={secret: [secret]}
    )
    logging.getLogger("a.library").warning("sends %s", secret)
    logging.getLogger("a.library").error("fails", exc_info=ValueError(f"bad key {secret}"))
    shown = capsys.readouterr().err
    assert not any(written in shown for written in (secret, json.dumps(secret)[1:-1], "4711"))
    assert shown.count(MASK) == 6
    assert "bad key" in shown
