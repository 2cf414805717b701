from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from toro_core.storage import Storage
from toro_core.testing import StorageConformance
from toro_core.testing.making import TYPE
from toro_ndjson import open_ndjson


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
