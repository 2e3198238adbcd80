"""What is sealed lies on no disk in plain text, survives a new secret, and stays as it is when it does not open."""

import base64
import hashlib
from pathlib import Path

import orjson
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from storage.disk import Disk
from storage.errors import DamagedDocument, SecretUnreadable, StorageDegraded
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk
from storage.secrets import Kept, Keyring, open_safe
from tests.fakes.sim_disk import Operation, SimDisk

KEPT = Kept({"model": "m"}, {"key": "sk-very-secret"})
FILE = "documents/keys.json"


@pytest.fixture(params=["local", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return LocalDisk(tmp_path / "data") if request.param == "local" else MemoryDisk()


def content(disk: Disk) -> bytes:
    return disk.read(FILE, 0, disk.size(FILE))


@pytest.mark.parametrize("secret", ["", "given"])
async def test_what_is_kept_is_read_by_the_next_start(disk: Disk, secret: str) -> None:
    safe = await open_safe(disk, secret)
    assert await safe.read("keys") is None
    await safe.write("keys", KEPT)
    assert await (await open_safe(disk, secret)).read("keys") == KEPT
    assert b"sk-very-secret" not in content(disk)
    assert b'"model":"m"' in content(disk)


async def test_the_key_is_the_hash_of_the_secret_so_that_other_tools_open_it(disk: Disk) -> None:
    await (await open_safe(disk, "given")).write("keys", KEPT)
    key = base64.urlsafe_b64encode(hashlib.sha256(b"given").digest())
    token = orjson.loads(content(disk))["document"]["sealed"]
    assert orjson.loads(Fernet(key).decrypt(token)) == KEPT.hidden


async def test_a_generated_secret_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    safe = await open_safe(LocalDisk(tmp_path))
    file = tmp_path / ".jwt_secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert safe.secrets == (file.read_text().strip(),)
    assert len(safe.secrets[0]) == 64
    assert (await open_safe(LocalDisk(tmp_path))).secrets == safe.secrets


async def test_none_is_generated_beside_one_that_is_given(disk: Disk) -> None:
    assert (await open_safe(disk, "given")).secrets == ("given",)
    assert not disk.exists(".jwt_secret")


async def test_another_secret_opens_nothing_and_changes_nothing(disk: Disk) -> None:
    await (await open_safe(disk, "right")).write("keys", KEPT)
    before = content(disk)
    wrong = await open_safe(disk, "wrong")
    with pytest.raises(SecretUnreadable, match=r"documents/keys.json .* JWT_SECRET") as caught:
        await wrong.read("keys")
    assert "wrong" not in str(caught.value)
    assert "sealed with another" in str(caught.value)
    assert content(disk) == before
    assert await (await open_safe(disk, "right")).read("keys") == KEPT


async def test_after_a_rotation_the_old_secret_is_needed_once(disk: Disk) -> None:
    await (await open_safe(disk, "first")).write("keys", KEPT)
    assert await (await open_safe(disk, "second", ["zeroth", "first"])).read("keys") == KEPT
    assert await (await open_safe(disk, "second")).read("keys") == KEPT
    with pytest.raises(SecretUnreadable):
        await (await open_safe(disk, "first")).read("keys")


async def test_a_secret_may_be_configured_after_one_was_generated(disk: Disk) -> None:
    await (await open_safe(disk)).write("keys", KEPT)
    assert await (await open_safe(disk, "given")).read("keys") == KEPT
    disk.remove_tree(".jwt_secret")
    assert await (await open_safe(disk, "given")).read("keys") == KEPT


async def test_a_document_that_is_current_is_not_written_anew() -> None:
    disk = SimDisk()
    await (await open_safe(disk, "first")).write("keys", KEPT)
    await (await open_safe(disk, "first", ["other"])).read("keys")
    assert disk.done(Operation.RENAME, FILE) == 1


async def test_on_a_full_disk_a_rotation_waits_for_the_next_start() -> None:
    disk = SimDisk()
    await (await open_safe(disk, "first")).write("keys", KEPT)
    safe = await open_safe(disk, "second", ["first"])
    disk.fail(times=None)
    assert await safe.read("keys") == KEPT
    disk.heal()
    assert await (await open_safe(disk, "first")).read("keys") == KEPT


@pytest.mark.parametrize("document", [[], {"plain": {}}, {"plain": {}, "sealed": 1}])
async def test_a_document_without_its_sealed_part_is_damaged(disk: Disk, document: object) -> None:
    disk.make_folder("documents")
    disk.replace(FILE, orjson.dumps({"format": 1, "document": document}))
    with pytest.raises(DamagedDocument, match=FILE):
        await (await open_safe(disk)).read("keys")


async def test_any_changed_byte_of_the_sealed_part_is_noticed() -> None:
    disk = MemoryDisk()
    safe = await open_safe(disk)
    await safe.write("keys", KEPT)
    whole = content(disk)
    token = orjson.loads(whole)["document"]["sealed"].encode()
    for place in range(len(token.rstrip(b"="))):
        changed = bytearray(token)
        changed[place] = ord("A") if changed[place] != ord("A") else ord("E")
        disk.replace(FILE, whole.replace(token, bytes(changed)))
        with pytest.raises(SecretUnreadable):
            await safe.read("keys")


async def test_a_disk_that_takes_no_generated_secret_is_told() -> None:
    disk = SimDisk()
    disk.fail(times=None)
    with pytest.raises(StorageDegraded, match="jwt_secret"):
        await open_safe(disk)


async def test_an_emptied_secret_is_told_and_not_replaced(disk: Disk) -> None:
    disk.replace(".jwt_secret", b"\n")
    with pytest.raises(DamagedDocument, match="jwt_secret is empty"):
        await open_safe(disk)


async def test_no_secret_is_in_a_repr() -> None:
    safe = await open_safe(MemoryDisk(), "given-secret", ["older-secret"])
    shown = f"{safe!r} {Keyring('given-secret')!r} {KEPT!r}"
    assert not any(secret in shown for secret in ("given-secret", "older-secret", "sk-very-secret"))


@given(st.binary(), st.text(), st.lists(st.text()))
def test_what_is_sealed_with_any_secret_opens_with_it(data: bytes, secret: str, older: list[str]) -> None:
    token = Keyring(secret).seal(data)
    ring = Keyring("newest", *older, secret)
    assert ring.unseal(token) == data
    assert ring.is_current(token) == (secret == "newest")  # noqa: S105 - a text like any other
