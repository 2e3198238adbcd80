"""The documents are true where a machine can see it: the tests that they name exist, and their programs run."""

import re
from pathlib import Path

import pytest
import structlog

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

NAMED = re.compile(
    r"`(?:tests/)?((?:actors|bench|browser|e2e|examples|simulation|storage|transport)/[\w/]*test_\w+\.py)?"
    r"(?:::(test_\w+)(…?))?`"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document: Path) -> None:
    file = Path()
    for line in document.read_text().splitlines():
        for path, name, cut in NAMED.findall(line):
            if path:
                file = ROOT / "tests" / path
                assert file.exists(), f"{path} is named and not there"
            if name:
                found = f"def {name}" if cut else f"def {name}("
                assert found in file.read_text(), f"{file.name}::{name} is named and not there"


def test_the_documents_do_name_tests() -> None:
    counts = {document.name: len(NAMED.findall(document.read_text())) for document in DOCUMENTS}
    assert counts["seed.md"] > 50
    assert counts["README.md"] > 20


RUNTIME, SOCKETIO = ((ROOT / "docs" / name).read_text() for name in ("runtime.md", "socketio.md"))
PROGRAM = re.compile(r"```python\n(.*?)```\n```text\n(.*?)```", re.DOTALL)
PROGRAMS = PROGRAM.findall(RUNTIME) + PROGRAM.findall(SOCKETIO)


def test_every_rule_of_the_kernel_is_proved_by_tests_that_name_it() -> None:
    named = dict(re.findall(r"^\| K(\d+) \|(.*)$", RUNTIME, re.MULTILINE))
    assert list(map(int, named)) == [*range(1, 8), *range(20, 29), 35]
    for rule, row in named.items():
        assert f"::test_k{int(rule):02}_" in row or int(rule) == 3


def test_the_programs_of_the_pages_are_all_followed_by_what_they_print() -> None:
    assert len(PROGRAMS) == RUNTIME.count("```python") + SOCKETIO.count("```python") == 6


@pytest.mark.parametrize(("program", "printed"), PROGRAMS)
def test_a_program_of_a_page_prints_what_it_says(
    program: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs():
        exec(compile(program, "a page", "exec"), {"__name__": "__main__"})  # noqa: S102 - it is our own page
    assert capsys.readouterr().out == printed


EDGES = (ROOT / "docs" / "socketio-conformance.md").read_text()
COUNTS = {"A": 30, "B": 15, "C": 6, "D": 13, "E": 35}


def test_every_edge_of_the_protocols_has_a_row_with_a_test_that_names_it() -> None:
    rows = re.findall(r"^\| ([A-E]\d+) \|(.*)$", EDGES, re.MULTILINE)
    assert [edge for edge, _ in rows] == [f"{part}{n}" for part, count in COUNTS.items() for n in range(1, count + 1)]
    unnamed = [edge for edge, row in rows if not re.search(rf"test_(\w+_)?{edge.lower()}_", row)]
    assert unnamed == []
