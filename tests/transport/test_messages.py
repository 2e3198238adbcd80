"""Every id that the server can send has a text in both languages, and the catalogue has no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from actors.security import tables
from actors.security.port import Risk
from transport import refusals
from transport.messages import MESSAGES, Text
from transport.phrases import PHRASES

ROOT = Path(__file__).parents[2]

DOLLAR_ID = re.compile(r"[A-Z][A-Z_]*\$[A-Z][A-Z_]*")

REASONS = {"interrupted"}
"""Reasons of states are texts for people, but for these."""


def _constants(call: ast.Call) -> Iterator[str]:
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value


def _is_super_init(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"


def _sent(path: Path) -> Iterator[str]:
    """The ids that this module names: with a dollar sign anywhere, codes where errors are made of them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and DOLLAR_ID.fullmatch(node.value):
            yield node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("Refused", "ActorFailed", "CannotActivate"):
                yield from _constants(node)
        elif isinstance(node, ast.Call) and _is_super_init(node) and path.name == "errors.py":
            yield from (code for code in _constants(node) if re.fullmatch("[a-z_]+", code))


def _known() -> set[str]:
    modules = (path for room in ("actors", "transport", "storage") for path in (ROOT / room).rglob("*.py"))
    named = {name for path in modules if path.name != "messages.py" for name in _sent(path)}
    return named | {told.code for told in refusals._TABLE.values()} | {"internal_error"} | REASONS


def test_the_walk_finds_ids_of_each_kind() -> None:
    assert {"STATUS$READY", "CONVERSATION$NOT_FOUND", "run_over", "illegal_transition", "crash_loop"} <= _known()


def test_every_id_that_is_sent_has_a_text_and_every_text_an_id() -> None:
    assert _known() - MESSAGES.keys() == set()
    assert MESSAGES.keys() - _known() == set()


@pytest.mark.parametrize("name", MESSAGES)
def test_a_text_is_in_both_languages(name: str) -> None:
    text: Text = MESSAGES[name]
    english, chinese = attrs.astuple(text)
    assert english.isprintable()
    assert english.strip() == english != ""
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert not re.search("[\u4e00-\u9fff]", english)


# --- sentences without an id ---

SAYS = {
    "Assessment", "CommandUnusable", "ErrorObservation", "Outcome", "RunEnded",
    "SandboxClosed", "SandboxLost", "SandboxUnavailable",
}  # fmt: skip
"""Whose arguments are sentences that clients get."""

SAID_ELSEWHERE = {"The configured sandbox, bubblewrap, does not work here: {0}"}
"""To whoever starts the server."""


def _sentence(node: ast.expr | None) -> str | None:
    """A text, with places for what is put into it. A single word is an id, and a text of nothing but places is made of
    others."""
    match node:
        case ast.Constant(value=str(text)):
            found = text
        case ast.JoinedStr(values=parts):
            places = iter(range(len(parts)))
            texts = (part.value if isinstance(part, ast.Constant) else f"{{{next(places)}}}" for part in parts)
            found = "".join(map(str, texts))
        case _:
            return None
    return found if " " in re.sub(r"\{\d\}", "", found).strip() else None


def _said(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        candidates: list[ast.expr | None] = []
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in SAYS:
                candidates += args
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == "reason" or name.endswith("_TEXT"):
                candidates.append(value)
            case ast.FunctionDef(name="_reason"):
                candidates += [found.value for found in ast.walk(node) if isinstance(found, ast.Return)]
        yield from (text for candidate in candidates if (text := _sentence(candidate)) is not None)


def _sentences() -> set[str]:
    said = {text for path in (ROOT / "actors").rglob("*.py") for text in _said(path)}
    patterns = (*tables.PLACES, *tables.WRITES, *tables.SECRETS, tables.BOMB)
    rows: tuple[tables.Rule | tables.Pattern, ...] = (*tables.RULES, *patterns)
    halves = {f"{{0}} {row.reason}" for row in rows}
    risks = {f"{risk.name.lower()} risk{more}" for risk in Risk for more in ("", ": {0}")}
    glue = {"{0}; {1}", "it"}
    return (said - SAID_ELSEWHERE) | halves | risks | glue


def test_the_walk_finds_sentences_of_each_kind() -> None:
    assert {
        "the run-time did not open within {0} s", "the run-time could not be opened ({0})", "Not done: {0}.",
        "The agent crashed ({0}).", "The sandbox is closed.", "nobody has looked at it", "the server went away",
        "{0} removes files", "high risk: {0}", "Stopped before it was done.",
    } <= _sentences()  # fmt: skip


def test_every_sentence_has_a_chinese_text_with_the_same_places_and_no_other_has() -> None:
    assert _sentences() - PHRASES.keys() == set()
    assert PHRASES.keys() - _sentences() == set()
    for english, chinese in PHRASES.items():
        assert sorted(re.findall(r"\{\d\}", english)) == sorted(re.findall(r"\{\d\}", chinese))
        assert re.search("[\u4e00-\u9fff]", chinese) or english == "{0}; {1}"
