from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from toro_core.storage import Storage
from toro_core.testing import StorageConformance
from toro_core.testing.durability import Reopen
from toro_sqlite import open_sqlite


class TestSqlite(StorageConformance):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        async with open_sqlite(f"sqlite:///{tmp_path}/toro.db") as storage:
            yield storage

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return partial(open_sqlite, f"sqlite:///{tmp_path}/again.db")
