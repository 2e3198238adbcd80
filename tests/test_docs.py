"""The documents are true where a machine can see it: the tests that they name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

NAMED = re.compile(
    r"`(?:tests/)?((?:actors|bench|browser|e2e|storage|transport)/[\w/]*test_\w+\.py)?(?:::(test_\w+)(…?))?`"
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
