"""Secrets: encrypted in the store, never read back, and only for pods' environments."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime import vault as module
from runtime.errors import CannotStart, Refused
from runtime.store import Store
from runtime.vault import Vault


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def _kept(folder: Path) -> bytes:
    """All that is on the disk."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.fixture
def vault(store: Store, tmp_path: Path) -> Vault:
    return Vault(store, tmp_path / "secrets.key", "local")


async def test_secrets_are_kept_for_pods_alone(vault: Vault, tmp_path: Path) -> None:
    await vault.put("mine", {"KEY": "hush-hush", "OTHER": "ünïcode\nand lines"})
    assert await vault.values("mine") == {"KEY": "hush-hush", "OTHER": "ünïcode\nand lines"}
    told = await vault.set("mine")
    assert told["secrets"] == [{"fieldName": "KEY"}, {"fieldName": "OTHER"}]
    assert await vault.sets() == [
        {"name": "mine", "type": "secret", "region": "local", "status": "ready"}
    ]
    kept = _kept(tmp_path)
    assert b"OTHER" in kept
    assert b"hush-hush" not in kept
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600


async def test_a_set_is_added_to_and_changed(vault: Vault) -> None:
    await vault.put("mine", {"A": "1"})
    await vault.put("mine", {"B": "2"})
    await vault.put("mine", {"A": "3"})
    assert await vault.values("mine") == {"A": "3", "B": "2"}
    await vault.delete("mine", "A")
    assert await vault.values("mine") == {"B": "2"}
    await vault.delete("mine")
    with pytest.raises(Refused, match="no secret set"):
        await vault.values("mine")
    await vault.put("mine", {"C": "4"})
    assert await vault.values("mine") == {"C": "4"}


async def test_what_is_not_there_cannot_be_deleted(vault: Vault) -> None:
    await vault.put("mine", {"A": "1"})
    for arguments in (("other",), ("mine", "B"), ("other", "A")):
        with pytest.raises(Refused) as refused:
            await vault.delete(*arguments)
        assert refused.value.status == 404


async def test_secrets_are_there_after_a_restart(
    vault: Vault, store: Store, tmp_path: Path
) -> None:
    await vault.put("mine", {"A": "1"})
    assert await Vault(store, tmp_path / "secrets.key", "local").values("mine") == {"A": "1"}


async def test_without_their_key_secrets_are_lost_and_told_so(
    vault: Vault, store: Store, tmp_path: Path
) -> None:
    await vault.put("mine", {"A": "hush-hush"})
    other = Vault(store, tmp_path / "another.key", "local")
    with pytest.raises(Refused, match="another key") as refused:
        await other.values("mine")
    assert refused.value.status == 409
    await other.put("mine", {"A": "new"})
    assert await other.values("mine") == {"A": "new"}


def test_a_key_file_that_is_none_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "bad.key").write_text("no key")
    (tmp_path / "folder").mkdir()
    for name in ("bad.key", "folder", "nowhere/key"):
        with pytest.raises(CannotStart, match="secrets' key"):
            Vault(store, tmp_path / name, "local")


@pytest.mark.parametrize("name", ["ab", "a" * 64, "Upper", "-a-", "a b", "a..b", "a/b", "abc\n"])
async def test_sets_have_plain_names(vault: Vault, name: str) -> None:
    with pytest.raises(Refused) as refused:
        await vault.put(name, {"A": "1"})
    assert refused.value.status == 400
    assert await vault.sets() == []


@pytest.mark.parametrize(
    "key",
    [
        *("", "1A", "A-B", "A=B", "A B", "A\n", "Ä", "A" * 129),
        *("RUNTIME_DATA", "runtime_data", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD"),
        "DYLD_INSERT_LIBRARIES",
    ],
)
async def test_no_secret_changes_how_a_pod_runs(vault: Vault, key: str) -> None:
    with pytest.raises(Refused, match="name of a secret") as refused:
        await vault.put("mine", {"GOOD": "1", key: "hush-hush"})
    assert "hush-hush" not in refused.value.message
    assert await vault.sets() == []


@pytest.mark.parametrize("value", ["hush\0hush", "x" * 64_001, "ü" * 32_001])
async def test_values_have_their_limits(vault: Vault, value: str) -> None:
    with pytest.raises(Refused, match="zero byte") as refused:
        await vault.put("mine", {"A": value})
    assert value not in refused.value.message


async def test_half_a_character_is_kept_as_a_sign_of_its_own(vault: Vault) -> None:
    await vault.put("mine", {"A": "\ud800"})
    assert await vault.values("mine") == {"A": "?"}


async def test_there_are_only_so_many(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SETS", 2)
    monkeypatch.setattr(module, "MAX_KEYS", 2)
    await vault.put("one", {"A": "1", "B": "2"})
    with pytest.raises(Refused, match="2 secrets at most"):
        await vault.put("one", {"C": "3"})
    await vault.put("one", {"A": "4"})
    await vault.put("two", {})
    with pytest.raises(Refused, match="2 secret sets"):
        await vault.put("three", {})


async def test_credentials_for_images_are_never_listed(vault: Vault) -> None:
    await vault.put("pull", {"credentials": "user:hush"}, "imagePullSecret", "example.org")
    assert [each["type"] for each in await vault.sets()] == ["imagePullSecret"]
    for read in (vault.set, vault.values):
        with pytest.raises(Refused) as refused:
            await read("pull")
        assert refused.value.status == 400
    with pytest.raises(Refused, match="another type"):
        await vault.put("pull", {"A": "1"})
