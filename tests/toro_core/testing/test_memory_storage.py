from __future__ import annotations

import pytest

from toro_core.testing import StorageConformance
from toro_core.testing.memory import MemoryStorage


class TestMemoryStorage(StorageConformance):
    @pytest.fixture
    async def storage(self) -> MemoryStorage:
        return MemoryStorage()
