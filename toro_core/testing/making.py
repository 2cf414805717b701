"""What the suite writes, and how it walks through pages."""

# ruff: noqa: S101 - a suite asserts

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toro_core.search.plan import Cursor, SearchPlan
from toro_core.storage import ANY, Body, Expect, Key, Rows, Storage, Stored, Write

__all__ = ["TYPE", "create", "delete", "found", "key", "put", "walk", "write"]

TYPE = "Observation"


def key(id: str, type: str = TYPE) -> Key:
    """Name a resource."""
    return Key(type, id)


def write(id: str, rows: Rows | None = None, *, note: str = "", type: str = TYPE, expect: Expect = ANY) -> Write:
    """Write a resource whose JSON holds the note."""
    before = f'{{"resourceType":"{type}","id":"{id}","meta":{{'.encode()
    return Write(
        key=Key(type, id),
        body=Body(before=before, after=b'},"note":"%s"}' % note.encode()),
        rows=rows or Rows(),
        expect=expect,
    )


def delete(id: str, *, type: str = TYPE, expect: Expect = ANY) -> Write:
    """Delete a resource."""
    return Write(key=Key(type, id), body=None, expect=expect)


async def create(storage: Storage, rows: Mapping[str, Rows], *, type: str = TYPE) -> Sequence[Stored]:
    """Write a resource for each id."""
    return await put(storage, [write(id, each, type=type) for id, each in rows.items()])


async def put(storage: Storage, writes: Sequence[Write]) -> list[Stored]:
    """Commit writes, together where the storage can, else one after the other."""
    if "transactions" in storage.capabilities:
        return list(await storage.commit(writes))
    return [stored for each in writes for stored in await storage.commit([each])]


async def walk(storage: Storage, plan: SearchPlan) -> list[str]:
    """Return the ids on all pages, which keep to the plan's limit and end where nothing follows."""
    ids: list[str] = []
    cursor: Cursor | None = plan.cursor
    while True:
        page = await storage.search(
            SearchPlan(
                type=plan.type,
                criterion=plan.criterion,
                sort=plan.sort,
                limit=plan.limit,
                max_bytes=plan.max_bytes,
                cursor=cursor,
            )
        )
        assert len(page.resources) <= plan.limit
        assert all(each.key.type == plan.type and not each.deleted and each.json for each in page.resources)
        ids += [each.key.id for each in page.resources]
        if page.cursor is None:
            return ids
        assert page.resources, "a page with a cursor after it has a resource"
        cursor = page.cursor


async def found(storage: Storage, plan: SearchPlan) -> set[str]:
    """Return the ids on all pages, each there once, and counted right."""
    ids = await walk(storage, plan)
    assert len(ids) == len(set(ids)), "a resource came twice"
    assert await storage.count(plan) == len(ids)
    return set(ids)
