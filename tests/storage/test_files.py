"""What a stranger left in a folder is read up to its bounds, and nothing outside of the root."""

import os
from pathlib import Path

import pytest

from storage.files import Found, read_folder


def _read(root: Path, folder: str = "a/b", *, files_max: int = 3, bytes_max: int = 10) -> Found:
    return read_folder(root, folder, ".md", files_max=files_max, bytes_max=bytes_max)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root" / "a" / "b"
    made.mkdir(parents=True)
    (tmp_path / "secret.md").write_bytes(b"secret")
    return made


@pytest.fixture
def root(folder: Path) -> Path:
    return folder.parent.parent


def test_the_files_by_name_in_order(root: Path, folder: Path) -> None:
    for name in ("c.md", "a.md", "b.txt"):
        (folder / name).write_text(name)
    found = _read(root)
    assert list(found.files.items()) == [("a.md", b"a.md"), ("c.md", b"c.md")]
    assert found.left_out == {}


def test_no_folder_is_no_files(tmp_path: Path) -> None:
    assert _read(tmp_path) == Found({}, {})
    assert _read(tmp_path / "nowhere") == Found({}, {})


def test_bounds_leave_out_and_say_so(root: Path, folder: Path) -> None:
    for name in "abcde":
        (folder / f"{name}.md").write_text(name)
    (folder / "a.md").write_bytes(b"x" * 11)
    (folder / "b.md").write_bytes(b"x" * 10)
    found = _read(root)
    assert list(found.files) == ["b.md", "c.md"]
    assert list(found.left_out) == ["a.md", "d.md", "e.md"]


def test_a_link_is_never_followed(root: Path, folder: Path) -> None:
    (folder / "out.md").symlink_to(root.parent / "secret.md")
    (folder / "in.md").symlink_to("real.md")
    (folder / "real.md").write_text("real")
    found = _read(root)
    assert found.files == {"real.md": b"real"}
    assert list(found.left_out) == ["in.md", "out.md"]


@pytest.mark.parametrize("part", ["a", "a/b"])
def test_a_folder_that_is_a_link_is_left_out(root: Path, folder: Path, part: str) -> None:
    elsewhere = root.parent / "elsewhere"
    (elsewhere / "b").mkdir(parents=True)
    for made in (elsewhere, elsewhere / "b"):
        (made / "x.md").write_text("secret")
    (root / part).rename(root.parent / "aside")
    (root / part).symlink_to(elsewhere)
    found = _read(root)
    assert found.files == {}
    assert list(found.left_out) == ["a/b"]


def test_what_is_no_file_is_left_out_without_waiting_for_it(root: Path, folder: Path) -> None:
    os.mkfifo(folder / "pipe.md")
    (folder / "folder.md").mkdir()
    found = _read(root)
    assert found.files == {}
    assert list(found.left_out) == ["folder.md", "pipe.md"]


def test_descriptors_are_given_back(root: Path, folder: Path) -> None:
    (folder / "a.md").write_text("a")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - descriptors, not paths
    for _ in range(5):
        _read(root)
        _read(root, "a/none")
        _read(root, "a/b/a.md")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above
