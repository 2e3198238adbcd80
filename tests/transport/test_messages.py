"""Every id that the server can send has a text in both languages, and the catalogue has no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from transport import refusals
from transport.messages import MESSAGES, Text

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
