"""The suite's tests on killing and damage catch storages that lose or invent what they were given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from toro_core.testing import StorageConformance

_BROKEN = """
import asyncio, json
from contextlib import asynccontextmanager
from pathlib import Path

from toro_core.errors import Damaged
from toro_core.hookspecs import hookimpl
from toro_sqlite import open_sqlite

class Lazy:
    '''Answers first and writes a little later.'''

    def __init__(self, storage):
        self.storage = storage

    def __getattr__(self, name):
        return getattr(self.storage, name)

    async def commit(self, writes):
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(self.storage.commit(writes)))
        return []

class Inventive(Lazy):
    '''Serves something instead of what is damaged.'''

    async def commit(self, writes):
        return await self.storage.commit(writes)

    async def read(self, key, version=None):
        try:
            return await self.storage.read(key, version)
        except Damaged:
            return None

class Half(Lazy):
    '''Commits one by one what should be whole.'''

    async def commit(self, writes):
        done = []
        for each in writes:
            done += await self.storage.commit([each])
            await asyncio.sleep(0.003)  # so that whoever is killed is killed in between, but for once in thousands of times
        return done

@hookimpl
def toro_storage(scheme):
    @asynccontextmanager
    async def open_broken(url):
        async with open_sqlite(url.replace(scheme, "sqlite", 1)) as storage:
            yield {"lazy": Lazy, "half": Half, "inventive": Inventive, "sound": lambda storage: storage}[scheme](storage)
    return open_broken
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Install the plugin for this process and its children, and return what makes a URL of it."""
    installed = tmp_path / "installed"
    info = installed / "toro_broken-1.0.dist-info"
    info.mkdir(parents=True)
    (installed / "toro_broken.py").write_text(_BROKEN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toro_broken\nVersion: 1.0\n")
    schemes = "".join(f"{scheme} = toro_broken\n" for scheme in ("lazy", "half", "inventive", "sound"))
    (info / "entry_points.txt").write_text(f"[toro.storage]\n{schemes}")
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return lambda scheme: f"{scheme}:///{tmp_path}/{scheme}.db"


async def _kill(url: str) -> None:
    await StorageConformance().test_after_kill_9_every_answered_commit_is_there_and_none_is_half_there(url)


async def test_a_storage_that_answers_before_it_is_durable_is_caught(broken: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError, match="an answered commit is lost"):
        await _kill(broken("lazy"))


async def test_a_storage_that_commits_by_halves_is_caught(broken: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError, match="a commit is half there"):
        await _kill(broken("half"))


async def test_a_storage_that_serves_something_for_what_is_damaged_is_caught(
    broken: Callable[[str], str], tmp_path: Path
) -> None:
    def damage() -> None:
        (path,) = tmp_path.glob("*.db")
        data = bytearray(path.read_bytes())
        # Beyond the pages that opening reads.
        data[8192 * 40 :] = b"\xa5" * len(data[8192 * 40 :])
        path.write_bytes(data)

    test = StorageConformance().test_damaged_data_is_refused_and_never_served
    await test(broken("sound"), damage)
    (tmp_path / "sound.db").unlink()
    with pytest.raises(AssertionError, match="something else is served"):
        await test(broken("inventive"), damage)
