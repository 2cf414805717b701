"""The suite as `toro storage check` runs it: each test on scratch areas of a storage URL."""

# ruff: noqa: D102 - fixtures are named for what they give

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from toro_core.plugins import open_storage
from toro_core.storage import Storage
from toro_core.testing.checking import checked_by
from toro_core.testing.conformance import StorageConformance

__all__ = ["TestStorage"]


class TestStorage(StorageConformance):
    """The storage that `toro storage check` was given."""

    @pytest_asyncio.fixture
    async def storage(self, request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
        async with checked_by(request.config).scratch() as url, open_storage(url) as storage:
            yield storage

    @pytest_asyncio.fixture
    async def url(  # type: ignore[override] # a fixture that is awaited gives the same text
        self, request: pytest.FixtureRequest
    ) -> AsyncIterator[str]:
        checked = checked_by(request.config)
        if checked.volatile:
            pytest.skip("the storage is said to forget")
        async with checked.scratch() as url:
            yield url
