"""Reading out JSON: PostgreSQL joins it by type, so that a batch makes a few objects in Python instead of some for each version."""

from __future__ import annotations

from dataclasses import replace

from toro_core.storage import LineBatch, Lines, ScanPlan, joined
from toro_postgres.feeds import scan, scanned
from toro_postgres.reader import Reader
from toro_postgres.sql import Sql, all_of, rows

__all__ = ["LineWalk"]

_MOST_AT_FIRST, _MOST_ROWS = 64, 10_000
_GUESS = 1_000
"""Bytes of a resource, until some have been seen."""
_MOST_TYPES = 40
"""Each costs a look at every version; with more, making objects is as quick."""


class LineWalk:
    """Walks what a scan does, batch by batch, and remembers how far it has come."""

    def __init__(self, plan: ScanPlan) -> None:
        """Walk from the plan's beginning."""
        self._plan = plan
        self._rows = max(1, min(_MOST_AT_FIRST, plan.max_bytes // _GUESS))

    async def __call__(self, reader: Reader) -> LineBatch | None:
        """Read the next batch, which may be empty; None where nothing follows."""
        plan, names = self._plan, reader.database.names
        await names.refresh(reader.connection)
        types = [type for type in names.all_types() if not plan.types or type in plan.types]
        if reader.database.is_cluster or len(types) > _MOST_TYPES:
            return await self._one_by_one(reader)
        seq, count, *texts = (await rows(reader.connection, await self._joined(reader, types)))[0]
        if seq is None:
            return None
        lines = [Lines(type, text.count(b"\n") + 1, text) for type, text in zip(types, texts, strict=True) if text]
        size = sum(len(some.json) for some in lines)
        self._rows = max(1, min(_MOST_ROWS, plan.max_bytes * count // (size + 1)))
        if any(b"\r" in some.json for some in lines) or sum(some.resources for some in lines) != count:
            whole = replace(plan, up_to=seq, max_bytes=2**62)
            lines = joined((await scan(reader, whole)).versions)
        self._plan = replace(plan, after=seq)
        return LineBatch(seq, lines)

    async def _joined(self, reader: Reader, types: list[str]) -> Sql:
        """Select up to which commit there is room, how many resources those commits have, and each type's JSON."""
        tests = all_of([Sql("v.seq > %s", (self._plan.after,)), *await scanned(reader, self._plan)])
        columns = Sql("")
        for type in types:
            columns += Sql(
                ", string_agg(j.json, '\\x0a'::bytea) FILTER (WHERE j.tid = %s)", (reader.database.names.type(type),)
            )
        return (
            Sql(
                "WITH e AS MATERIALIZED (SELECT coalesce(min(s.seq) FILTER (WHERE s.size >= %s), max(s.seq)) AS seq FROM"
                " (SELECT v.seq, sum(v.length) OVER (ROWS UNBOUNDED PRECEDING) AS size FROM"
                " (SELECT v.seq, octet_length(v.json) AS length FROM version v WHERE ",
                (self._plan.max_bytes,),
            )
            + tests
            + Sql(" ORDER BY v.seq, v.n LIMIT %s) v) s) SELECT (SELECT seq FROM e), count(*)", (self._rows,))
            + columns
            + Sql(
                " FROM (SELECT v.tid, v.json FROM version v WHERE v.seq <= (SELECT seq FROM e) AND NOT v.deleted AND "
            )
            + tests
            + Sql(" ORDER BY v.seq, v.n) j")
        )

    async def _one_by_one(self, reader: Reader) -> LineBatch | None:
        batch = await scan(reader, self._plan)
        if not batch.versions:
            return None
        seq = batch.versions[-1].seq
        self._plan = replace(self._plan, after=seq)
        return LineBatch(seq, joined(batch.versions))
