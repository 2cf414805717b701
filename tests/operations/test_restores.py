"""A backup that is restored is there whole or not at all, whatever storage it is put into."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from toro_core.commands.backup import backup, restore
from toro_core.errors import StorageFull, Unsupported
from toro_core.moving import tally
from toro_core.plugins import open_storage, upkeep
from toro_core.storage import Stages
from toro_core.testing.making import key, write

SCHEMES = ("sqlite", "ndjson", "postgresql")

# What `toro restore` does, killed before its end.
_FILLING = """
import asyncio, sys
from toro_core.plugins import open_storage, upkeep
from toro_core.testing.making import write

async def main(url):
    async with upkeep(url).staged(url) as staged, open_storage(staged) as storage:
        await storage.commit([write("half")])
        print("filled", flush=True)
        await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def backed_up(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup that the tests copy."""
    path = tmp_path_factory.mktemp("backup") / "kept.db"
    done = CliRunner().invoke(backup, [str(path), "--storage", f"sqlite:///{template}/toro.db"])
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture
def kept(backed_up: Path, tmp_path: Path) -> Path:
    """A backup."""
    return Path(shutil.copy2(backed_up, tmp_path / "kept.db"))


def restored(file: Path, url: str) -> Any:
    return CliRunner().invoke(restore, [str(file), "--storage", url])


def counted(url: str) -> Any:
    async def count() -> Any:
        async with open_storage(url) as storage:
            return await tally(storage)

    return asyncio.run(count())


def names(folder: Path) -> set[str]:
    """Name what is there, but for what SQLite keeps beside a database that was opened."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(("-shm", "-wal"))}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_restore_that_fails_at_its_end_leaves_nothing(
    kept: Path, new_storage: Callable[[str], str], scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_storage(scheme)
    before = names(kept.parent)

    async def full(*args: object) -> None:
        raise StorageFull

    def no_space(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as broken:
        broken.setattr("toro_core.moving.migrating._copy_state", full)
        broken.setattr("toro_sqlite.upkeep._fsync", no_space)
        failed = restored(kept, url)
    assert failed.exception is not None
    assert "Restored" not in failed.output
    assert names(kept.parent) == before
    assert restored(kept, url).output.endswith(f"Restored {kept}\n")
    assert counted(url) == counted(f"sqlite:///{kept}")
    assert len(names(kept.parent) - before) == (scheme != "postgresql")


@pytest.mark.parametrize("scheme", ["sqlite", "postgresql", pytest.param("ndjson", marks=pytest.mark.slow)])
def test_a_damaged_backup_leaves_nothing(kept: Path, new_storage: Callable[[str], str], scheme: str) -> None:
    url = new_storage(scheme)
    damaged = kept.with_name("damaged.db")
    content = bytearray(kept.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8 * 4096] = bytes(8 * 4096)
    damaged.write_bytes(content)
    before = names(kept.parent)
    assert restored(damaged, url).exception is not None
    assert names(kept.parent) == before
    assert restored(kept, url).exit_code == 0


@pytest.mark.parametrize("scheme", ["ndjson", "postgresql"])
async def test_a_killed_restore_is_not_in_the_way(new_storage: Callable[[str], str], scheme: str) -> None:
    url = new_storage(scheme)
    with subprocess.Popen([sys.executable, "-c", _FILLING, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "filled\n"
        process.send_signal(signal.SIGKILL)
    care = upkeep(url)
    assert isinstance(care, Stages)
    async with care.staged(url) as staged, open_storage(staged) as storage:
        await storage.commit([write("whole")])
    async with open_storage(url) as storage:
        assert [stored.key.id async for batch in storage.changes(0) for stored in batch] == ["whole"]
    if scheme == "postgresql":
        import psycopg

        with psycopg.connect(url) as connection:
            sql = "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'toro_restoring')"
            assert connection.execute(sql).fetchone() == (0,)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_there_is_not_restored_over(kept: Path, new_storage: Callable[[str], str], scheme: str) -> None:
    url = new_storage(scheme)

    async def fill() -> None:
        async with open_storage(url) as storage:
            await storage.commit([write("mine")])

    asyncio.run(fill())
    before = counted(url)
    refused = restored(kept, url)
    assert "name a" in str(refused.exception)
    assert counted(url) == before


@pytest.mark.parametrize("scheme", ["ndjson", "postgresql"])
async def test_what_came_to_be_meanwhile_is_not_restored_over(new_storage: Callable[[str], str], scheme: str) -> None:
    url = new_storage(scheme)
    care = upkeep(url)
    assert isinstance(care, Stages)
    stage = care.staged(url)
    for place, id in ((await stage.__aenter__(), "restored"), (url, "meanwhile")):
        async with open_storage(place) as storage:
            await storage.commit([write(id)])
    with pytest.raises(Unsupported, match="name a"):
        await stage.__aexit__(None, None, None)
    async with open_storage(url) as storage:
        found = await storage.read_many([key("restored"), key("meanwhile")])
        assert [stored is None for stored in found] == [True, False]
