"""Indexing everything again: type by type in the order of ids, so that it goes on where it was stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from toro_core.json import loads
from toro_core.search.extract import Extractor
from toro_core.search.indexed import rules_of, settle, store_rules
from toro_core.search.plan import Cursor, SearchPlan, SortKey
from toro_core.storage import Indexed, Indexes, Storage, Stored

__all__ = ["prepare", "reindex"]

_KEY: Final = "search/reindexing"
_LOG: Final = logging.getLogger("toro.core")
_PAGE: Final = 1_000
_PAGE_BYTES: Final = 8_000_000


class _Progress(msgspec.Struct, frozen=True):
    """How far: all types before `type` are done, and of it what comes before the cursor; by which rules."""

    fingerprint: str
    type: str
    cursor: Cursor | None


async def prepare(storage: Storage, extractor: Extractor, tell: Callable[[int], None] | None = None) -> None:
    """Make a storage ready to be searched, telling as `settle` does.

    One that indexes what others wrote when it is opened is indexed again by itself where definitions have changed.
    """
    await settle(storage, extractor, tell)
    if extractor.pending and isinstance(storage, Indexes):
        _LOG.info("the definitions have changed; everything is indexed again")
        await reindex(storage, extractor, lambda type_, done: _LOG.info("%s: %d indexed so far", type_, done))


async def reindex(
    storage: Storage, extractor: Extractor, tell: Callable[[str, int], None], *, everything: bool = False
) -> int:
    """Index again all types with pending parameters, or `everything`, and return how many resources that were.

    Stopped at any moment, it goes on from about there the next time; `tell` is given the type and how many of it are done.
    """
    await settle(storage, extractor)
    types = sorted(extractor.definitions.resource_types if everything else extractor.pending)
    rules = rules_of(extractor)
    record = await storage.get_state(_KEY)
    start = _Progress(fingerprint=rules.fingerprint, type="", cursor=None)
    if record is not None:
        before = msgspec.json.decode(record.value, type=_Progress)
        start = before if before.fingerprint == rules.fingerprint else start
    total = 0
    for resource_type in types:
        if resource_type >= start.type:
            cursor = start.cursor if resource_type == start.type else None
            total += await _index(storage, extractor, resource_type, cursor, tell)
    await store_rules(storage, rules)
    await storage.delete_state(_KEY)
    extractor.pending = {}
    return total


async def _index(
    storage: Storage, extractor: Extractor, resource_type: str, cursor: Cursor | None, tell: Callable[[str, int], None]
) -> int:
    done = 0
    while True:
        plan = SearchPlan(
            type=resource_type, sort=(SortKey(param="_id"),), limit=_PAGE, max_bytes=_PAGE_BYTES, cursor=cursor
        )
        page = await storage.search(plan)
        await storage.reindex([_indexed(extractor, stored) for stored in page.resources])
        done += len(page.resources)
        if done:
            tell(resource_type, done)
        cursor = page.cursor
        if cursor is None:
            return done
        progress = _Progress(fingerprint=extractor.fingerprint, type=resource_type, cursor=cursor)
        await storage.put_state(_KEY, msgspec.json.encode(progress))


def _indexed(extractor: Extractor, stored: Stored) -> Indexed:
    return Indexed(stored.key, stored.version, extractor.rows(loads(stored.json)))
