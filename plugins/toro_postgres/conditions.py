"""What a commit has to find, asked inside its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from toro_core.errors import ConditionChanged, StillReferenced
from toro_core.search.plan import SearchPlan
from toro_core.storage import Condition, Key, Write
from toro_postgres.keys import untext
from toro_postgres.pages import page
from toro_postgres.reader import Reader
from toro_postgres.sql import Sql, rows

__all__ = ["check_conditions", "check_unreferenced", "lock_conditions"]

_NAMED = 10
"""Referrers named at most."""
_GUARD = "INSERT INTO guard (key) VALUES (%s::uuid) ON CONFLICT (key) DO NOTHING"
_FREE = "DELETE FROM guard WHERE key = %s::uuid"


async def lock_conditions(reader: Reader, writes: Iterable[Write]) -> list[Condition]:
    """Return the writes' conditions; who has one of them waits for the others that have it.

    An insert waits for another of the same key until that one's transaction ends, also where it has deleted the row again.
    """
    conditions = list(dict.fromkeys(chain.from_iterable(write.conditions for write in writes)))
    if conditions:
        of = reader.database.keys.of
        keys = sorted({of("condition", each.type, repr(each.criterion)) for each in conditions})
        cursor = reader.connection.cursor()
        await cursor.executemany(_GUARD.encode(), [(key,) for key in keys])
        await cursor.executemany(_FREE.encode(), [(key,) for key in keys])
    return conditions


async def check_conditions(reader: Reader, conditions: Iterable[Condition]) -> None:
    """Judge the conditions; nothing of the commit is written yet. Raises ConditionChanged."""
    for condition in conditions:
        plan = SearchPlan(type=condition.type, criterion=condition.criterion, limit=2, max_bytes=2**62)
        found = [stored.key for stored in (await page(reader, plan)).resources]
        if found != ([] if condition.finds is None else [condition.finds]):
            raise ConditionChanged


async def check_unreferenced(reader: Reader, writes: Sequence[Write]) -> None:
    """Judge what nobody may refer to; all is written. Raises StillReferenced."""
    for write in writes:
        if write.unreferenced and (referrers := await _referrers(reader, write.key)):
            raise StillReferenced(str(write.key), [str(key) for key in referrers])


async def _referrers(reader: Reader, key: Key) -> list[Key]:
    names = reader.database.names
    await names.refresh(reader.connection)
    self = reader.database.keys.reference(key)
    # On a cluster the postings of other shards are read, but nothing is joined across shards.
    statement = Sql(
        "SELECT DISTINCT r.tid, r.id FROM posting p JOIN resource r ON r.rid = p.rid AND r.place = p.place"
        " WHERE p.param = ANY(%s::integer[]) AND p.value = %s::uuid AND r.self <> %s::uuid LIMIT %s",
        (names.referring(), self, self, _NAMED),
    )
    return [Key(names.type_name(tid), untext(id)) for tid, id in await rows(reader.connection, statement)]
