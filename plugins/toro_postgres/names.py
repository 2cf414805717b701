"""Numbers for types and parameters, and what is noted of parameters. All of them are few, and known to every process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from toro_core.storage import Rows
from toro_postgres.keys import text, untext
from toro_postgres.schema import Connection

__all__ = ["COMPARTMENT", "Gap", "Names", "needed"]

COMPARTMENT = "_compartment"
"""The parameter under which the patients are posted in whose compartments a resource lies."""

_LOCK = 0x544F524E
_MIN, _MAX = -(2**63), 2**63 - 1
_RECENT = 1.0
"""Seconds for which a gap that was read is near enough to choose by."""
_TARGET = "\x00"
"""Between a parameter and a type that references of it lead to, which are a name together."""


class Gap(NamedTuple):
    """How far a parameter's dates lie from their resources' sort values, over all ever written; an end at ±2^63 is unbounded."""

    low_min: int
    low_max: int
    high_min: int
    high_max: int

    def covers(self, other: Gap) -> bool:
        """Tell whether nothing of `other` lies outside."""
        return self.widened(other) == self

    def widened(self, other: Gap) -> Gap:
        """Return the smallest gap that covers both."""
        return Gap(
            min(self.low_min, other.low_min),
            max(self.low_max, other.low_max),
            min(self.high_min, other.high_min),
            max(self.high_max, other.high_max),
        )

    @classmethod
    def of(cls, low: int, high: int, sort: int) -> Gap:
        """Measure one date."""
        below, above = max(_MIN, min(_MAX, low - sort)), max(_MIN, min(_MAX, high - sort))
        return cls(below, below, above, above)


class Names:
    """What has been read of the table `name`. Rows are only added and gaps only widened, so what was found stays true."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.forget()

    def forget(self) -> None:
        """Know nothing any more: a failover to a standby that lagged may have lost rows, whose numbers go to other names."""
        self._numbers: dict[tuple[str, str], int] = {}
        self._types: dict[int, str] = {}
        self._targets: dict[tuple[str, str], set[str]] = {}
        self._gaps: dict[tuple[str, str], Gap] = {}
        self._seen_gaps: dict[int, tuple[float, Gap | None]] = {}
        self._last = 0

    @property
    def known(self) -> int:
        """Return how many names are known."""
        return len(self._numbers)

    async def refresh(self, connection: Connection) -> None:
        """Read what has been added since the last time."""
        sql = b"SELECT nid, type, code FROM name WHERE nid > %s ORDER BY nid"
        async for nid, type_, code in await connection.execute(sql, (self._last,)):
            self._add(nid, untext(type_), untext(code))

    def type(self, name: str) -> int | None:
        """Return a resource type's number."""
        return self._numbers.get((name, ""))

    def all_types(self) -> list[str]:
        """Return the types that there have been resources of."""
        return list(self._types.values())

    def type_name(self, tid: int) -> str:
        """Return the name of a type that has been read."""
        return self._types[tid]

    def types(self, numbers: Iterable[int]) -> bool:
        """Tell whether all these are known."""
        return all(number in self._types for number in numbers)

    def param(self, type: str, code: str) -> int | None:
        """Return a parameter's number."""
        return self._numbers.get((type, code))

    def targets(self, type: str, code: str) -> set[str]:
        """Return the types that references of a parameter have led to."""
        return self._targets.get((type, code), set())

    def referring(self) -> list[int]:
        """Return the parameters that have had references."""
        return [self._numbers[name] for name in self._targets]

    async def gap(self, connection: Connection, pid: int) -> Gap | None:
        """Return a parameter's gap as of now, None where it has had no dates."""
        sql = b"SELECT low_min, low_max, high_min, high_max FROM name WHERE nid = %s"
        row = await (await connection.execute(sql, (pid,))).fetchone()
        return None if row is None or row[0] is None else Gap(*row)

    async def recent_gap(self, connection: Connection, pid: int) -> Gap | None:
        """Return a parameter's gap as of a moment ago; it may be wider by now."""
        now = time.monotonic()
        at, gap = self._seen_gaps.get(pid, (-_RECENT, None))
        if now - at >= _RECENT:
            gap = await self.gap(connection, pid)
            self._seen_gaps[pid] = now, gap
        return gap

    async def ensure(
        self, connection: Connection, names: set[tuple[str, str]], gaps: Mapping[tuple[str, str], Gap]
    ) -> None:
        """Add what is missing and widen, in a transaction of its own that is committed before rows make use of it."""
        missing = names - self._numbers.keys()
        wider = {
            name: gap for name, gap in gaps.items() if not (known := self._gaps.get(name)) or not known.covers(gap)
        }
        if not missing and not wider:
            return
        async with connection.transaction():
            # One at a time, so that numbers become visible in their order.
            await connection.execute(b"SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            await self.refresh(connection)
            found: dict[tuple[str, str], int] = {}
            for name in sorted(names - self._numbers.keys()):
                found[name] = self._last + len(found) + 1
                sql = b"INSERT INTO name (nid, type, code) VALUES (%s, %s, %s)"
                await connection.execute(sql, (found[name], *map(text, name)))
            widened: dict[tuple[str, str], Gap] = {}
            for name, gap in wider.items():
                nid = found.get(name) or self._numbers[name]
                known = await self.gap(connection, nid)
                widened[name] = gap if known is None else known.widened(gap)
                sql = b"UPDATE name SET low_min = %s, low_max = %s, high_min = %s, high_max = %s WHERE nid = %s"
                if widened[name] != known:
                    await connection.execute(sql, (*widened[name], nid))
        for name, nid in found.items():
            self._add(nid, *name)
        self._gaps.update(widened)

    def _add(self, nid: int, type_: str, code: str) -> None:
        self._last = max(self._last, nid)
        self._numbers[type_, code] = nid
        if not code:
            self._types[nid] = type_
        code, found, target = code.partition(_TARGET)
        if found:
            self._targets.setdefault((type_, code), set()).add(target)


def needed(
    indexed: Iterable[tuple[str, Rows]], types: Iterable[str] = ()
) -> tuple[set[tuple[str, str]], dict[tuple[str, str], Gap]]:
    """Return the names that rows of resources of these types need, with other types, and the gaps of the rows' dates."""
    names = {(type, "") for type in types}
    gaps: dict[tuple[str, str], Gap] = {}
    for type, rows in indexed:
        names |= {(type, ""), (type, COMPARTMENT)}
        for each in (rows, *(group.rows for group in rows.groups)):
            kinds = (each.tokens, each.strings, each.dates, each.uris, each.numbers, each.quantities, each.references)
            names |= {(type, row[0]) for kind in kinds for row in kind}
            names |= {(type, f"{row.param}{_TARGET}{row.type}") for row in each.references}
        names |= {(type, row.param) for row in rows.groups} | {(type, row.param) for row in rows.orders}
        for date in rows.dates:
            # The time of a commit is not known before it; such a parameter gets no bounds.
            gap = Gap(_MIN, _MAX, _MIN, _MAX) if rows.sort is None else Gap.of(date.low, date.high, rows.sort)
            name = (type, date.param)
            gaps[name] = gaps[name].widened(gap) if name in gaps else gap
    return names, gaps
