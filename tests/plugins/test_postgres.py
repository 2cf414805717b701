from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from toro_core.storage import Storage
from toro_core.testing import StorageConformance
from toro_core.testing.durability import Reopen
from toro_postgres import open_postgres


class TestPostgres(StorageConformance):
    @pytest.fixture
    async def storage(self, new_postgres: Callable[[], str]) -> AsyncIterator[Storage]:
        async with open_postgres(new_postgres()) as storage:
            yield storage

    @pytest.fixture
    def reopen(self, new_postgres: Callable[[], str]) -> Reopen:
        return partial(open_postgres, new_postgres())
