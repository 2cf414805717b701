"""Reads versions: one, those of a resource, those of types, all that were current at a sequence."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from toro_core.errors import NotFound
from toro_core.storage import HistoryPlan, Key, Page, ScanPlan, Stored
from toro_ndjson.catalog import Catalog
from toro_ndjson.versions import Version

__all__ = ["batches", "changed", "current_at", "history", "read"]


def read(catalog: Catalog, key: Key, number: int | None) -> Stored:
    """Return a version, the last by default. Raises NotFound, Damaged."""
    versions = catalog.versions.get(key)
    if not versions:
        raise NotFound
    if number is None:
        return versions[-1].stored()
    at = bisect_left(versions, number, key=lambda version: version.number)
    if at == len(versions) or versions[at].number != number:
        raise NotFound
    return versions[at].stored()


def history(catalog: Catalog, plan: HistoryPlan) -> Page:
    """Return versions, newest first; the cursor is the last one's place in commit order."""
    stored: list[Stored] = []
    size, last = 0, plan.cursor
    for version in _newest_first(catalog, plan):
        size += version.size
        if stored and (len(stored) >= plan.limit or size > plan.max_bytes):
            return Page(resources=stored, cursor=last)
        stored.append(version.stored())
        last = _rank(version)
    return Page(resources=stored, cursor=None)


def _newest_first(catalog: Catalog, plan: HistoryPlan) -> Iterator[Version]:
    if plan.key is not None and plan.key not in catalog.versions:
        raise NotFound
    versions = catalog.log if plan.key is None else catalog.versions[plan.key]
    if plan.cursor is None:
        end = len(versions)
    else:
        seq, order = plan.cursor
        end = bisect_left(versions, (seq, order), key=_rank)
    for at in range(end - 1, -1, -1):
        version = versions[at]
        if plan.since is not None and version.at < plan.since:
            # Times never go back in commit order.
            return
        if _wanted(version, plan):
            yield version


def _wanted(version: Version, plan: HistoryPlan) -> bool:
    return (
        (not plan.types or version.key.type in plan.types)
        and (plan.until is None or version.at < plan.until)
        and (plan.current_after is None or version.next is None or version.next.at > plan.current_after)
    )


def _rank(version: Version) -> tuple[int, int]:
    return version.seq, version.order


def current_at(catalog: Catalog, plan: ScanPlan) -> Iterator[Version]:
    """Yield the versions of a scan."""
    end = plan.as_of if plan.up_to is None else min(plan.as_of, plan.up_to)
    for version in _between(catalog, plan.after, end):
        if (
            (not plan.types or version.key.type in plan.types)
            and (plan.since is None or version.at > plan.since)
            and (version.next is None or version.next.seq > plan.as_of)
        ):
            yield version


def changed(catalog: Catalog, after: int, up_to: int) -> Iterator[Version]:
    """Yield every version of the commits after a sequence up to another."""
    return _between(catalog, after, up_to)


def _between(catalog: Catalog, after: int, up_to: int) -> Iterator[Version]:
    # Only ever appended to, so that places stay while a caller takes a rest.
    log = catalog.log
    at = bisect_right(log, after, key=lambda version: version.seq)
    while at < len(log) and log[at].seq <= up_to:
        yield log[at]
        at += 1


def batches(versions: Iterable[Version], max_bytes: int) -> Iterator[Sequence[Version]]:
    """Cut into batches of whole commits of about this size."""
    batch: list[Version] = []
    size = 0
    for version in versions:
        if batch and size >= max_bytes and version.seq != batch[-1].seq:
            yield batch
            batch, size = [], 0
        batch.append(version)
        size += version.size
    if batch:
        yield batch
