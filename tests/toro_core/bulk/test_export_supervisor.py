"""The server's side of the process that works on exports."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from toro_core.bulk.supervisor import Supervisor
from toro_core.settings import Settings
from toro_core.testing.memory import MemoryStorage


async def test_where_the_storage_lets_no_second_process_in_the_server_works_itself(kit: Any, tmp_path: Any) -> None:
    place = kit.place_on(MemoryStorage(), tmp_path / "exports")
    await place.put(kit.patient(0))
    job = await place.start()
    settings = Settings(storage=f"sqlite:///{tmp_path}/missing/folder/toro.db")
    (tmp_path / "missing").write_text("a file where a folder should be")
    async with Supervisor(place.jobs, place.runner, msgspec.json.encode(settings), 0.1).running():
        async with asyncio.timeout(30):
            while (found := await place.jobs.get(job.id)).state == "running":
                await asyncio.sleep(0.05)
    assert await place.ids(found) == {"Patient/p0"}
