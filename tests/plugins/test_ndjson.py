from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from toro_core.storage import Storage
from toro_core.testing import StorageConformance
from toro_core.testing.durability import Reopen
from toro_ndjson import open_ndjson


class TestNdjson(StorageConformance):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        async with open_ndjson(f"ndjson:///{tmp_path}/data") as storage:
            yield storage

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return partial(open_ndjson, f"ndjson:///{tmp_path}/again")
