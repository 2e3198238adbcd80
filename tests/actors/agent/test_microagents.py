"""A microagent is read from front matter and text; any other bytes are one typed error."""

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.agent.microagents import FRONT_MATTER_BYTES_MAX, BadMicroagent, Input, Kind, Microagent, parse

FULL = b"""---
name: release
type: knowledge
triggers:
- release
- 2024
inputs:
  - name: VERSION
    description: "What it is to be: a number"
mcp_tools:
  stdio_servers:
    - name: fetch
      command: uvx
      args: [mcp-server-fetch]
agent: any
---

Write the notes first.
"""


def test_everything_that_front_matter_may_say() -> None:
    assert parse("file", FULL) == Microagent(
        name="release",
        type=Kind.KNOWLEDGE,
        content="Write the notes first.",
        triggers=("release", "2024", "/release"),
        inputs=(Input("VERSION", "What it is to be: a number"),),
        tools=("fetch",),
    )


@pytest.mark.parametrize(
    ("text", "kind", "content"),
    [
        ("Always lint.", Kind.REPO, "Always lint."),
        ("", Kind.REPO, ""),
        ("---\n---\nAlways lint.", Kind.REPO, "Always lint."),
        ("---\nname: file\n---", Kind.REPO, ""),
        ("---\ntriggers: [lint]\n---\nLint.", Kind.KNOWLEDGE, "Lint."),
        ("---\ntriggers:\n---\nLint.", Kind.REPO, "Lint."),
        ("---\ntype: task\n---\nLint.", Kind.KNOWLEDGE, "Lint."),
        ("---\ntype: repo\ntriggers: [lint]\n---\nLint.", Kind.REPO, "Lint."),
        ("\ufeff---\r\ntype: repo\r\n---\r\nLint.\r\n", Kind.REPO, "Lint."),
        ("Before\n---\ntype: nothing\n---\n", Kind.REPO, "Before\n---\ntype: nothing\n---"),
        ("---\nname: file\n---\na\n---\nb", Kind.REPO, "a\n---\nb"),
    ],
)
def test_the_kind_follows_from_the_front_matter(text: str, kind: Kind, content: str) -> None:
    found = parse("file", text.encode())
    assert (found.name, found.type, found.content) == ("file", kind, content)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"---\nname: file\n", "no end"),
        (b"---\n- a\n---\n", "mapping"),
        (b"---\nname: [a\n---\n", "YAML"),
        (b"---\nname: [a]\n---\n", "name must be a text"),
        (b"---\ntype: knowlege\n---\n", "type must be one of"),
        (b"---\ntriggers: lint\n---\n", "triggers must be a list"),
        (b"---\ntriggers: [[lint]]\n---\n", "each of triggers"),
        (b"---\ninputs: [VERSION]\n---\n", "each of inputs"),
        (b"---\ninputs: [{description: no name}]\n---\n", "each of inputs"),
        (b"---\nmcp_tools: [fetch]\n---\n", "mcp_tools must be"),
        (b"---\nmcp_tools: {stdio_servers: [fetch]}\n---\n", "each of mcp_tools"),
        (b"---\nname: !!python/object/apply:os.getcwd []\n---\n", "name must be a text"),
        (b'---\nname: "\\ud800"\n---\n', "Unicode"),
        (b"---\nname: " + b"[" * 10_000 + b"\n---\n", "YAML"),
        (b"---\n# " + b"x" * FRONT_MATTER_BYTES_MAX + b"\n---\n", "larger than"),
        (b"---\na: &a [x]\ntriggers: &b [*b]\n---\n", "YAML"),
        (b"---\n? [a]\n: b\n---\n", "YAML"),
    ],
)
def test_a_broken_file_says_why(data: bytes, why: str) -> None:
    with pytest.raises(BadMicroagent, match=why):
        parse("file", data)


YAMLISH = st.text(alphabet="abc:-[]{}&*!|>'\"#?,\n\t 0\\\ud7ff", max_size=60)


@given(st.binary(max_size=60) | YAMLISH.map(lambda text: f"---\n{text}\n---\n{text}".encode()))
def test_any_bytes_are_a_microagent_that_json_can_carry_or_the_one_error(data: bytes) -> None:
    try:
        found = parse("file", data)
    except BadMicroagent:
        return
    assert orjson.dumps(attrs.asdict(found))


def test_a_file_whose_name_is_no_unicode_is_broken() -> None:
    with pytest.raises(BadMicroagent, match="name of the file"):
        parse("\udcff", b"")
