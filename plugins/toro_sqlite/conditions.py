"""What a commit has to find, asked on the writer's connection inside its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from toro_core.errors import ConditionChanged, StillReferenced, TargetMissing
from toro_core.search.plan import SearchPlan
from toro_core.storage import Condition, Key, Write
from toro_sqlite import pages
from toro_sqlite.names import Names
from toro_sqlite.reader import Reader

__all__ = ["check_after", "check_before"]

_NAMED = 10
"""Referrers named at most."""

# The lists of one target, whatever the parameter: one step down the tree for each parameter that has references at all.
_REFERRERS = (
    "WITH RECURSIVE list(param) AS (SELECT min(param) FROM reference"
    " UNION ALL SELECT (SELECT min(param) FROM reference WHERE param > list.param) FROM list WHERE list.param IS NOT NULL)"
    " SELECT DISTINCT t.name, r.id FROM list CROSS JOIN reference f ON f.param = list.param AND f.target = ?1"
    " CROSS JOIN resource r ON r.rid = f.rid CROSS JOIN type t ON t.tid = r.tid WHERE f.rid <> ?1 LIMIT ?2"
)


def check_before(names: Names, writes: Iterable[Write]) -> None:
    """Judge the conditions; nothing of the commit is written yet. Raises ConditionChanged."""
    conditions = dict.fromkeys(chain.from_iterable(write.conditions for write in writes))
    # Made anew, so that it remembers no name that was rolled back.
    if conditions:
        reader = Reader(names.connection)
    for condition in conditions:
        if _found(reader, condition) != ([] if condition.finds is None else [condition.finds]):
            raise ConditionChanged


def check_after(names: Names, writes: Sequence[Write]) -> None:
    """Judge what has to exist and what nobody may refer to; all is written. Raises TargetMissing, StillReferenced."""
    for target in dict.fromkeys(chain.from_iterable(write.targets for write in writes)):
        if not _exists(names, target):
            raise TargetMissing(str(target))
    for write in writes:
        if write.unreferenced and (referrers := _referrers(names, write.key)):
            raise StillReferenced(str(write.key), [str(key) for key in referrers])


def _found(reader: Reader, condition: Condition) -> list[Key]:
    plan = SearchPlan(type=condition.type, criterion=condition.criterion, limit=2, max_bytes=2**62)
    return [stored.key for stored in pages.page(reader, plan).resources]


def _exists(names: Names, key: Key) -> bool:
    sql = "SELECT sort IS NOT NULL FROM resource WHERE tid = ? AND id = ?"
    row = names.connection.execute(sql, (names.type(key.type), key.id)).fetchone()
    return row is not None and bool(row[0])


def _referrers(names: Names, key: Key) -> list[Key]:
    tid = names.type(key.type)
    rid = None if tid is None else names.resource(tid, key.id)
    return [Key(*row) for row in names.connection.execute(_REFERRERS, (rid, _NAMED))]
