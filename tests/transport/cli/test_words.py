"""Numbers and times as a person reads them."""

import pytest

from transport.cli.words import plain, span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0.0 s"), (0, "0.0 s"), (0.26, "0.3 s"), (9.94, "9.9 s"), (10, "10 s"), (59.6, "1 min"), (60, "1 min"),
        (250, "4 min 10 s"), (3600, "1 h"), (3661, "1 h 1 min"), (7499, "2 h 4 min"), (86_399, "23 h 59 min"),
        (86_400, "1 d"), (90_000, "1 d 1 h"), (86_460, "1 d"),
    ],
)  # fmt: skip
def test_how_long(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_strangers_text_is_one_line_and_moves_no_cursor() -> None:
    assert plain("a\r\n\tb\x1b[1mc\u202ed") == "a b\ufffd[1mc\ufffdd"
