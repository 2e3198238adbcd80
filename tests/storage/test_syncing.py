"""Syncing many files at once, by threads and by the kernel: each once, and each failure with its own file (K15)."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage import kernel_sync
from storage.descriptors import LocalAppendFile
from storage.disk import AppendFile
from storage.kernel_sync import KernelSync
from storage.local_disk import LocalDisk
from storage.syncing import SyncThreads, sync_by_kernel, sync_each
from tests.fakes.sim_disk import Operation, SimDisk
from tests.needs import lacking

Sync = Callable[[Sequence[LocalAppendFile]], list[OSError | None]]


def by_kernel() -> Sync:
    try:
        kernel = KernelSync()
    except OSError:
        lacking("Linux's asynchronous I/O")
    return partial(sync_by_kernel, kernel)


@pytest.fixture(params=["one by one", "threads", "kernel"])
def sync(request: pytest.FixtureRequest) -> Sync:
    ways: dict[str, Callable[[], Sync]] = {
        "one by one": lambda: sync_each,
        "threads": lambda: SyncThreads().sync,
        "kernel": by_kernel,
    }
    return ways[str(request.param)]()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[LocalAppendFile]]:
    disk = LocalDisk(tmp_path)
    files = [disk.open_append(str(number)) for number in range(20)]
    for file in files:
        file.write(b"data")
    yield files
    for file in files:
        file.close()


@pytest.mark.parametrize("count", [0, 1, 2, 9, 20])
def test_every_file_is_answered_for(sync: Sync, files: list[LocalAppendFile], count: int) -> None:
    assert sync(files[:count]) == [None] * count


@pytest.mark.parametrize("places", [{0}, {1}, {7}, {0, 1}, {3, 4, 6}, set(range(8))])
def test_k15_a_failure_is_that_of_its_file_alone(sync: Sync, files: list[LocalAppendFile], places: set[int]) -> None:
    for place in places:
        files[place].close()
    failed = sync(files[:8])
    assert {place for place, failure in enumerate(failed) if failure is not None} == places
    assert sync(files[8:12]) == [None] * 4


def test_k15_what_the_kernel_does_not_take_is_synced_all_the_same_and_told_with_its_reason(tmp_path: Path) -> None:
    by_kernel()  # skipped where there is none
    kernel, disk = KernelSync(), LocalDisk(tmp_path)
    files = [disk.open_append(name) for name in "ab"]
    reading, writing = os.pipe()  # which takes no syncs
    descriptors = [files[0].begin_sync(), writing, writing, files[1].begin_sync()]
    first, *refused, last = kernel.sync(descriptors)
    os.close(reading)
    os.close(writing)
    for file in files:
        file.close()
    assert (first, last) == (None, None)
    assert [failure and failure.errno for failure in refused] == [errno.EINVAL] * 2


def test_k15_after_a_failed_sync_the_descriptor_is_never_used_again(sync: Sync, files: list[LocalAppendFile]) -> None:
    reading, writing = os.pipe()
    os.dup2(writing, files[0]._slot.fd)  # a pipe takes no syncs
    first, second = sync(files[:2])
    os.close(reading)
    os.close(writing)
    assert isinstance(first, OSError)
    assert (first.errno, second) == (errno.EINVAL, None)
    with pytest.raises(OSError, match="Bad file descriptor"):
        files[0].write(b"more")


def test_where_the_kernel_has_no_such_calls_threads_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_sync, "sys", SimpleNamespace(platform="another", byteorder="little"))
    with pytest.raises(OSError, match="asynchronous"):
        KernelSync()
    disk = LocalDisk(tmp_path)
    files: list[AppendFile] = [disk.open_append(name) for name in "abc"]
    assert disk.sync_files(files) == [None] * 3
    for file in files:
        file.close()


def test_a_group_too_large_for_one_turn_takes_several(
    files: list[LocalAppendFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_sync, "SYNCS_MAX", 6)
    sync = by_kernel()
    files[13].close()
    assert [failure is None for failure in sync(files)] == [place != 13 for place in range(20)]


def test_more_callers_than_contexts_are_served_all_the_same(files: list[LocalAppendFile]) -> None:
    by_kernel()  # skipped where there is none
    kernel = KernelSync()
    kernel._contexts.clear()
    assert sync_by_kernel(kernel, files[:3]) == [None] * 3


def test_the_simulated_disk_syncs_each_once_in_order() -> None:
    disk = SimDisk()
    files = [disk.open_append(name) for name in "abc"]
    disk.fail(Operation.SYNC, "b")
    failures = disk.sync_files(files)
    assert [failure is None for failure in failures] == [True, False, True]
    assert [disk.done(Operation.SYNC, name) for name in "abc"] == [1, 1, 1]
