"""All of the suite in one class."""

from __future__ import annotations

import pytest

from toro_core.testing.commits import CommitConformance
from toro_core.testing.conditions import ConditionConformance
from toro_core.testing.criteria import CriteriaConformance
from toro_core.testing.differential import DifferentialConformance
from toro_core.testing.durability import DurabilityConformance
from toro_core.testing.feeds import FeedConformance
from toro_core.testing.histories import HistoryConformance
from toro_core.testing.loads import LoadConformance
from toro_core.testing.pages import PageConformance
from toro_core.testing.reads import ReadConformance
from toro_core.testing.reindexing import ReindexConformance
from toro_core.testing.searches import SearchConformance
from toro_core.testing.states import StateConformance

__all__ = ["StorageConformance"]


@pytest.mark.asyncio
class StorageConformance(
    ReadConformance,
    CommitConformance,
    ConditionConformance,
    HistoryConformance,
    FeedConformance,
    LoadConformance,
    SearchConformance,
    CriteriaConformance,
    PageConformance,
    DifferentialConformance,
    ReindexConformance,
    StateConformance,
    DurabilityConformance,
):
    """What `toro_core.storage.Storage` promises, as tests.

    A subclass gives the async fixture `storage`, a new and empty one for each test. A storage that outlives its process also gives
    `reopen`, a function that opens the same new and empty place each time it is called: `async with reopen() as storage`.
    """
