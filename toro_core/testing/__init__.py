"""The conformance suite of storages: subclass StorageConformance, give a `storage` fixture, done."""

import pytest

pytest.register_assert_rewrite(
    "toro_core.testing.chance",
    "toro_core.testing.commits",
    "toro_core.testing.conditions",
    "toro_core.testing.criteria",
    "toro_core.testing.differential",
    "toro_core.testing.durability",
    "toro_core.testing.feeds",
    "toro_core.testing.histories",
    "toro_core.testing.loads",
    "toro_core.testing.making",
    "toro_core.testing.pages",
    "toro_core.testing.reads",
    "toro_core.testing.reindexing",
    "toro_core.testing.searches",
    "toro_core.testing.states",
)

from toro_core.testing.conformance import StorageConformance  # noqa: E402 - after asserts are made to speak

__all__ = ["StorageConformance"]
