from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path

import pytest

from toro_core.search.plan import AnyOf, SearchPlan, Text
from toro_core.storage import Rows, Storage, StringRow
from toro_core.testing import StorageConformance
from toro_core.testing.making import TYPE, create
from toro_ndjson import open_ndjson
from toro_ndjson.sieve import Part, passing
from toro_ndjson.versions import Head


class TestNdjson(StorageConformance):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        async with open_ndjson(f"ndjson:///{tmp_path}/data") as storage:
            yield storage

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"ndjson:///{tmp_path}/again"

    @pytest.fixture
    def damage(self, tmp_path: Path) -> Callable[[], None]:
        def change_a_letter() -> None:
            path = tmp_path / "again" / f"{TYPE}.ndjson"
            path.write_bytes(path.read_bytes().replace(b"xxx", b"xyx", 1))

        return change_a_letter


async def test_a_search_that_asks_much_of_each_resource_stops_soon_after_its_caller_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(parts: Sequence[Part], heads: Collection[Head]) -> list[Head]:
        asked.append(len(heads) * 5000)
        return passing(parts, heads)

    monkeypatch.setattr("toro_ndjson.finding.passing", counted)
    many = AnyOf(tuple(Text(param="name", value=f"x{n}", match="contains") for n in range(5000)))
    async with open_ndjson(f"ndjson:///{tmp_path}/data") as storage:
        await create(storage, {f"r{n}": Rows(strings=(StringRow("name", f"n{n}", f"N{n}"),)) for n in range(300)})
        searching = asyncio.create_task(storage.search(SearchPlan(type=TYPE, criterion=many)))
        while not asked:
            await asyncio.sleep(0.001)
        searching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await searching
    assert max(asked) <= 100_000
    assert len(asked) < 5, "the others of the fifteen pieces are left"
