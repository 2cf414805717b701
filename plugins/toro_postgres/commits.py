"""Commits inside a transaction: locks and expectations first, then conditions, then versions, then what has to hold after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toro_core.errors import StorageError, TargetMissing
from toro_core.judging import judge_write
from toro_core.storage import Key, Stored, Write, stamp
from toro_postgres.clock import lock_clock
from toro_postgres.conditions import check_conditions, check_unreferenced, lock_conditions
from toro_postgres.homes import Home, lock_homes
from toro_postgres.names import needed
from toro_postgres.reader import Database, Reader
from toro_postgres.schema import Connection
from toro_postgres.versions import New, put

__all__ = ["Outcome", "commit", "has_checks", "prepare"]

Outcome = list[Stored] | StorageError


def has_checks(writes: Iterable[Write]) -> bool:
    """Tell whether more has to be looked at than the resources that are written and referred to."""
    return any(write.conditions or write.unreferenced for write in writes)


async def prepare(connection: Connection, database: Database, writes: Iterable[Write]) -> None:
    """Make the numbers that the writes' rows need, in transactions of their own."""
    writes = tuple(writes)
    names, gaps = needed(
        ((write.key.type, write.rows) for write in writes if write.body is not None),
        {key.type for write in writes for key in (write.key, *write.targets)},
    )
    await database.names.ensure(connection, names, gaps)


async def commit(connection: Connection, database: Database, commits: Sequence[Sequence[Write]]) -> list[Outcome]:
    """Write commits, one after the other; return what each has stored, or why it has not.

    Where one of several commits fails the others are written. A commit that `has_checks` comes alone, and raises.
    """
    writes = [write for each in commits for write in each]
    reader = Reader(connection, database)
    conditions = await lock_conditions(reader, writes)
    homes = await lock_homes(
        connection, database, [write.key for write in writes], [t for w in writes for t in w.targets]
    )
    # The one lock that all commits take; who holds it sees all that was committed before.
    clock = await lock_clock(connection)
    await check_conditions(reader, conditions)
    seq, at = clock.seq, clock.now
    outcomes: list[Outcome] = []
    news: list[New] = []
    for each in commits:
        try:
            fresh = _commit(each, homes, seq + 1, at)
        except StorageError as error:
            outcomes.append(error)
            continue
        seq += 1
        outcomes.append([new.stored for new in fresh])
        news += fresh
    await put(connection, database, news, homes, clock=(seq, at))
    await check_unreferenced(reader, writes)
    if len(commits) == 1 and isinstance(outcomes[0], StorageError):
        raise outcomes[0]
    return outcomes


@dataclass(slots=True)
class _Tentative:
    """What a commit makes of the resources, kept when all of it holds."""

    homes: dict[Key, Home]
    changed: dict[Key, Home]

    def get(self, key: Key) -> Home:
        return self.changed.get(key) or self.homes[key]


def _commit(writes: Sequence[Write], homes: dict[Key, Home], seq: int, at: int) -> list[New]:
    tentative = _Tentative(homes, {})
    news = []
    for write in writes:
        before = tentative.get(write.key)
        judge_write(write, before.version, before.is_live)
        version = before.version + 1
        json = b"" if write.body is None else stamp(write.body, version, at)
        deleted = write.body is None
        news.append(New(Stored(write.key, version, seq, at, deleted, json), None if deleted else write.rows))
        tentative.changed[write.key] = before.at(version, deleted=deleted)
    for target in dict.fromkeys(target for write in writes for target in write.targets):
        if not tentative.get(target).is_live:
            raise TargetMissing(str(target))
    homes.update(tentative.changed)
    return news
