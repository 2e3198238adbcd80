"""Any text is one directive; what cannot be followed is explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.agent.grammar import (
    BURST_BYTES_MAX,
    BURST_MESSAGE_BYTES_DEFAULT,
    BURST_MESSAGE_BYTES_MAX,
    BURST_MESSAGES_MAX,
    Burst,
    Crash,
    Directive,
    Explain,
    Fail,
    FinishTask,
    Note,
    Repeat,
    RunCommand,
    Sleep,
    Stream,
    ThinkAloud,
    parse,
)


@pytest.mark.parametrize(
    ("content", "directive"),
    [
        ("$ ls -l", RunCommand("ls -l")),
        ("  $ ls\n", RunCommand("ls")),
        ("$ cd a\nls\n$ not a second one", RunCommand("cd a\nls\n$ not a second one")),
        ("$\necho a\n  echo b", RunCommand("echo a\n  echo b")),
        ("/note buy milk", Note("buy milk")),
        ("/note", Note("")),
        ("/finish all done\nreally", FinishTask("all done\nreally")),
        ("/finish", FinishTask("")),
        ("/think hard", ThinkAloud("hard")),
        ("/sleep 2", Sleep(2.0)),
        ("/sleep 0.25", Sleep(0.25)),
        ("/sleep 3600", Sleep(3600.0)),
        ("/burst 3", Burst(3, BURST_MESSAGE_BYTES_DEFAULT)),
        ("/burst 10000 100", Burst(10_000, 100)),
        (f"/burst {BURST_MESSAGES_MAX} 1", Burst(BURST_MESSAGES_MAX, 1)),
        (f"/burst 1 {BURST_MESSAGE_BYTES_MAX}", Burst(1, BURST_MESSAGE_BYTES_MAX)),
        ("/stream once upon\n a time", Stream("once upon\n a time")),
        ("/error no luck", Fail("no luck")),
        ("/error", Fail("")),
        ("/crash", Crash()),
    ],
)
def test_a_directive_is_understood(content: str, directive: Directive) -> None:
    assert parse(content) == directive


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "hello",
        "$HOME is where",
        "$5",
        "//note x",
        "/unknown x",
        "/notes",
        "/Note x",
        "hi\n$ ls",
        "/ note",
        "/",
    ],
)
def test_anything_else_is_repeated_letter_for_letter(content: str) -> None:
    assert parse(content) == Repeat(content)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("$", "$ command"),
        ("$ \n", "$ command"),
        ("/sleep", "/sleep seconds"),
        ("/sleep abc", "/sleep seconds"),
        ("/sleep -1", "/sleep seconds"),
        ("/sleep inf", "/sleep seconds"),
        ("/sleep nan", "/sleep seconds"),
        ("/sleep 1_0", "/sleep seconds"),
        ("/sleep ٣", "/sleep seconds"),
        ("/sleep 3600.5", "/sleep seconds"),
        ("/sleep " + "9" * 5000, "/sleep seconds"),
        ("/burst", "/burst n [bytes]"),
        ("/burst x", "/burst n [bytes]"),
        ("/burst 0", "/burst n [bytes]"),
        ("/burst 1 0", "/burst n [bytes]"),
        ("/burst 1 2 3", "/burst n [bytes]"),
        (f"/burst {BURST_MESSAGES_MAX + 1}", "/burst n [bytes]"),
        (f"/burst 1 {BURST_MESSAGE_BYTES_MAX + 1}", "/burst n [bytes]"),
        (f"/burst 300 {BURST_BYTES_MAX // 299}", "/burst n [bytes]"),
        ("/burst " + "9" * 5000, "/burst n [bytes]"),
        ("/stream", "/stream text"),
        ("/crash now", "/crash"),
    ],
)
def test_a_malformed_directive_is_explained(content: str, word: str) -> None:
    directive = parse(content)
    assert isinstance(directive, Explain)
    assert f"`{word}`" in directive.text


WORDS = st.sampled_from(
    ["$", "/note", "/finish", "/think", "/sleep", "/burst", "/stream", "/error", "/crash", "/other"]
)


@given(st.one_of(st.text(), st.builds("{} {}".format, WORDS, st.text())))
def test_any_text_is_a_directive(content: str) -> None:
    assert isinstance(parse(content), Directive)


@given(st.integers(), st.integers())
def test_no_burst_exceeds_its_limits(messages: int, message_bytes: int) -> None:
    directive = parse(f"/burst {messages} {message_bytes}")
    if isinstance(directive, Burst):
        assert directive == Burst(messages, message_bytes)
        assert messages * message_bytes <= BURST_BYTES_MAX
