"""What commands a script is read as; whatever the text, there is an answer."""

import shutil
import subprocess
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actors.security.shell import DEPTH_MAX, SCRIPT_CHARACTERS_MAX, read_script


def words(text: str) -> list[tuple[str, ...]]:
    return [command.words for command in read_script(text).commands]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("ls -la", [("ls", "-la")]),
        ("a; b && c || d | e & f\ng", [("a",), ("b",), ("c",), ("d",), ("e",), ("f",), ("g",)]),
        ("a 'x; y' \"p | q\" r\\ s", [("a", "x; y", "p | q", "r s")]),
        ("r''m \\-rf", [("rm", "-rf")]),
        ("a \\\n b", [("a", "b")]),
        ("if a; then b; else c; fi; while d; do e; done", [("a",), ("b",), ("c",), ("d",), ("e",)]),
        ("! a; { b; }; (c)", [("a",), ("b",), ("c",)]),
        ("f() { a; }", [("f",), ("a",)]),
        ("a # b; c\nd", [("a",), ("d",)]),
        ("a b#c", [("a", "b#c")]),
        ("a $((1 + (2))) b", [("a", "$(())", "b")]),
        ("a $X ${Y}", [("a", "$X", "${Y}")]),
    ],
)
def test_words_and_operators(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text) == expected
    assert not read_script(text).unclear


@pytest.mark.parametrize(
    "text",
    [
        "a $(b) c",
        "a `b` c",
        'a "x$(b)y" c',
        'a "x`b`y" c',
        'a "$(b "p q" "$(:)")" c',
        "a <(b) c",
        "x=$(b)",
        "a $(( $(b) ))",
        "cat <<E\n$(b)\nE",
        'cat <<E\n"$(b)"\nE',
        "`b`",
    ],
)
def test_what_stands_in_a_substitution_is_a_command(text: str) -> None:
    assert ("b",) in [found[:1] for found in words(text)]
    assert not read_script(text).unclear


@pytest.mark.parametrize("text", ["a '$(b)'", "cat <<'E'\n$(b)\nE", "# $(b)"])
def test_what_is_quoted_is_text(text: str) -> None:
    assert ("b",) not in words(text)


def test_assignments_redirections_and_input_are_told_apart() -> None:
    [command] = read_script("A=1 B='x y' a < in 2> err >> out <<< 'fed' b=c &> all 3>&1").commands
    assert command.words == ("a", "b=c")
    assert command.assignments == ("A=1", "B=x y")
    assert command.writes_to == ("err", "out", "all", "1")
    assert command.reads_from == ("in",)
    assert command.fed == ("fed",)


def test_a_here_document_is_fed_to_its_command_and_is_no_command() -> None:
    script = read_script("a <<E | b\nrm x\nE\nc")
    assert {command.words: command.fed for command in script.commands} == {
        ("a",): ("rm x\nE\n",),
        ("b",): (),
        ("c",): (),
    }
    assert [command.words for command in script.commands if command.piped] == [("b",)]


def test_a_here_document_that_never_comes_loses_no_command() -> None:
    assert words("rm x <<E") == [("rm", "x")]
    assert words("$(rm x <<E)") == [("$()",), ("rm", "x")]


@pytest.mark.parametrize("text", ["a 'b", 'a "b', "a $(b", "a `b", "a " + "$(" * (DEPTH_MAX + 1), "a" * 20_000])
def test_what_cannot_be_read_is_unclear(text: str) -> None:
    assert read_script(text).unclear


def test_a_name_is_without_its_folder() -> None:
    assert [command.name for command in read_script("/bin/rm x; A=1").commands] == ["rm", ""]


SHELL_TEXT = st.lists(
    st.sampled_from(
        ["rm", "-rf", "/", " ", "\n", ";", "|", "&", "$", "(", ")", "`", "'", '"', "\\", "<<", "E", ">", "{", "#"]
    )
).map("".join)


@given(st.text() | SHELL_TEXT)
def test_any_text_is_read(text: str) -> None:
    for command in read_script(text).commands:
        assert all(isinstance(word, str) for word in command.words)


@given(SHELL_TEXT)
def test_what_stands_before_is_not_changed_by_what_comes_in_the_next_line(text: str) -> None:
    assert words(f"rm -rf /\n{text}")[0] == ("rm", "-rf", "/")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to compare with")
@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab '\"\\#\n", max_size=12))
def test_words_are_those_that_bash_sees(text: str) -> None:
    assume(not text.endswith("\\"))  # bash itself is of two minds about it
    told = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, text=True, check=False)
    script = read_script(f"printf '%s\\0' {text}")
    if told.stderr == "" and not script.unclear and len(script.commands) == 1:
        assert told.stdout == "".join(f"{word}\0" for word in script.commands[0].words[2:] or [""])


@pytest.mark.wallclock
@pytest.mark.parametrize(
    "piece", ["a ", '"', "$(", "`", "\\", "<<A\n", "<<A ", "$((", "(", '"$(', "$x", "<<A\n$(b <<B\n"]
)
def test_the_worst_text_takes_no_second(piece: str) -> None:
    began = time.monotonic()
    read_script(piece * (SCRIPT_CHARACTERS_MAX // len(piece)))
    assert time.monotonic() - began < 1
