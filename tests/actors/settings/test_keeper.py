"""What the keeper says is stored, is: after a restart, at once, on both disks; what fails changes nothing."""

from pathlib import Path

import orjson
import pytest
import trio

from actors.domain.masks import MASK
from actors.settings.errors import SecretExists, SecretNotFound
from actors.settings.keeper import Keeper, open_keeper
from actors.settings.model import CustomSecret, ProviderToken, Secrets, Settings
from storage.disk import Disk
from storage.errors import DamagedDocument, SecretUnreadable, StorageDegraded
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk
from storage.secrets import open_safe
from tests.fakes.faulty_disk import FaultyDisk

KEYS = {"llm_api_key": "key-llm", "llm_base_url": "http://me:key-url@u", "search_api_key": "key-search"}
MCP = {"sse_servers": [{"url": "u", "api_key": "key-mcp-1"}]}


@pytest.fixture(params=["local", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return LocalDisk(tmp_path / "data") if request.param == "local" else MemoryDisk()


async def start(disk: Disk, secret: str = "") -> Keeper:
    return await open_keeper(await open_safe(disk, secret))


async def fill(keeper: Keeper) -> None:
    await keeper.store_settings({"llm_model": "model-name", **KEYS, "mcp_config": MCP, "max_budget_per_task": 2.0})
    await keeper.add_secret("S1", CustomSecret("key-custom", "d"))
    await keeper.replace_tokens({"github": ProviderToken("key-github", "host")})


async def test_d30_what_is_stored_is_there_at_once_and_after_a_restart(disk: Disk) -> None:
    keeper = await start(disk)
    assert (keeper.settings, keeper.secrets) == (None, Secrets())
    await fill(keeper)
    again = await start(disk)
    for each in (keeper, again):
        assert each.settings == Settings(llm_model="model-name", **KEYS, mcp_config=MCP, max_budget_per_task=2.0)  # type: ignore[arg-type]  # ** of texts
        assert each.secrets.custom_secrets == {"S1": CustomSecret("key-custom", "d")}
        assert each.secrets.provider_tokens == {"github": ProviderToken("key-github", "host")}
        assert each.masks().hide("key-llm key-mcp-1 key-github key-custom") == " ".join([MASK] * 4)


async def test_no_secret_lies_on_the_disk_in_plain_text(disk: Disk) -> None:
    await fill(await start(disk))
    for name in ("settings", "secrets"):
        path = f"documents/{name}.json"
        content = disk.read(path, 0, disk.size(path))
        assert b"key-" not in content
        assert (b"model-name" in content) == (name == "settings")


async def test_masks_follow_what_is_stored(disk: Disk) -> None:
    keeper = await open_keeper(await open_safe(disk, "jwt-secret"), ["session-key"])
    assert keeper.masks().hide("jwt-secret session-key key-custom") == f"{MASK} {MASK} key-custom"
    await keeper.add_secret("S1", CustomSecret("key-custom"))
    assert keeper.masks().hide("key-custom") == MASK
    assert keeper.statistics() == {"custom_secrets": 1, "provider_tokens": 0, "masked_texts": 3}
    await keeper.rename_secret("S1", "S2", None)
    assert keeper.masks().hide("key-custom") == MASK
    await keeper.remove_secret("S2")
    assert keeper.masks().hide("key-custom") == "key-custom"


async def test_another_jwt_secret_is_told_and_changes_nothing(disk: Disk) -> None:
    await fill(await start(disk, "right"))
    with pytest.raises(SecretUnreadable):
        await start(disk, "wrong")
    assert (await start(disk, "right")).secrets.custom_secrets["S1"].value == "key-custom"


@pytest.mark.parametrize("plain", [{"language": 1}, {"enable_default_condenser": "no"}, [], {"max_iterations": "x"}])
async def test_a_plain_part_that_somebody_spoiled_is_told(disk: Disk, plain: object) -> None:
    keeper = await start(disk)
    await keeper.store_settings({})
    path = "documents/settings.json"
    document = orjson.loads(disk.read(path, 0, disk.size(path)))
    document["document"]["plain"] = plain
    disk.replace(path, orjson.dumps(document))
    with pytest.raises(DamagedDocument, match=r"documents/settings.json does not hold settings"):
        await start(disk)


async def test_what_the_disk_refuses_is_not_adopted() -> None:
    disk = FaultyDisk()
    keeper = await start(disk)
    await fill(keeper)
    before = (keeper.settings, keeper.secrets, keeper.masks())
    disk.faults.steps_left = 0
    with pytest.raises(StorageDegraded):
        await keeper.store_settings({"language": "en"})
    with pytest.raises(StorageDegraded):
        await keeper.add_secret("S2", CustomSecret("other-key"))
    with pytest.raises(StorageDegraded):
        await keeper.rename_secret("S1", "S2", None)
    with pytest.raises(StorageDegraded):
        await keeper.remove_secret("S1")
    with pytest.raises(StorageDegraded):
        await keeper.replace_tokens({})
    assert (keeper.settings, keeper.secrets, keeper.masks()) == before
    disk.faults.steps_left = None
    await keeper.add_secret("S2", CustomSecret("other-key"))
    assert set((await start(disk)).secrets.custom_secrets) == {"S1", "S2"}


async def test_changes_at_the_same_time_lose_none_of_them(disk: Disk) -> None:
    keeper = await start(disk)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(keeper.add_secret, f"S{number}", CustomSecret("key-custom"))
        nursery.start_soon(keeper.replace_tokens, {"github": ProviderToken("key-github")})
    again = await start(disk)
    assert len(again.secrets.custom_secrets) == 20
    assert len(again.secrets.provider_tokens) == 1


async def test_of_two_who_take_the_same_name_one_gets_it(disk: Disk) -> None:
    keeper = await start(disk)
    lost = 0

    async def take(value: str) -> None:
        nonlocal lost
        try:
            await keeper.add_secret("S", CustomSecret(value))
        except SecretExists:
            lost += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, "first-value")
        nursery.start_soon(take, "other-value")
    assert lost == 1


async def test_a_renamed_secret_keeps_its_place_value_and_description() -> None:
    keeper = await start(MemoryDisk())
    for name in ("A", "B", "C"):
        await keeper.add_secret(name, CustomSecret(f"value-{name}", f"about {name}"))
    await keeper.rename_secret("B", "X", None)
    await keeper.rename_secret("C", "C", "new")
    assert keeper.secrets.custom_secrets == {
        "A": CustomSecret("value-A", "about A"),
        "X": CustomSecret("value-B", "about B"),
        "C": CustomSecret("value-C", "new"),
    }
    with pytest.raises(SecretNotFound):
        await keeper.rename_secret("B", "Y", None)


async def test_no_secret_is_in_a_repr() -> None:
    keeper = await start(MemoryDisk(), "jwt-secret")
    await fill(keeper)
    assert "key-" not in repr(keeper)
    assert "jwt-secret" not in repr(keeper)
