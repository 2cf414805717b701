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

    @pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
    async def test_any_plan_finds_and_orders_as_the_reference_says(self, storage: Storage, seed: int) -> None:
        await super().test_any_plan_finds_and_orders_as_the_reference_says(storage, seed)

    @pytest.fixture
    def reopen(self, new_postgres: Callable[[], str]) -> Reopen:
        return partial(open_postgres, new_postgres())
