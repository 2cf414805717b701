"""Finds the resources of a plan: small questions at once, large ones in a thread, piece by piece, so that others get their turn.

What a thread looks at was gathered before, at one moment, and is never changed. A chain is followed from set to set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

from toro_core.search.plan import AllOf, AnyOf, Chain, Criterion, Has, Not
from toro_core.storage import Rows
from toro_ndjson.catalog import Catalog
from toro_ndjson.matching import EVERYTHING, filtered, has_joins, narrowed, params, size, split
from toro_ndjson.versions import Head

__all__ = ["Finder"]

_INLINE: Final = 200
"""Resources that are looked at without a thread."""
_ASKED: Final = 20_000
"""What may be asked of them all without a thread."""
_PIECE: Final = 2_000
"""Resources after which a cancelled caller is noticed, fewer where much is asked of each."""
_PIECE_ASKED: Final = 100_000
_FEW: Final = 2_000
"""Targets up to which a chain goes by the postings of each."""


class Finder:
    """Answers criteria on a catalog."""

    def __init__(self, catalog: Catalog, threads: Executor) -> None:
        """Look here, with these threads."""
        self._catalog = catalog
        self._threads = threads

    async def find(self, type_: str, criterion: Criterion) -> Sequence[Head]:
        """Return the current resources of a type for which the criterion holds, in no order."""
        among, rest = narrowed(self._catalog, type_, criterion)
        heads = list(self._catalog.heads(type_).values() if among is None else among)
        if has_joins(rest):
            return list(await self._holding(type_, rest, set(heads)))
        return await self._filtered(rest, heads)

    def explain(self, type_: str, criterion: Criterion) -> str:
        """Say how many resources the postings leave and what is asked of each of them."""
        among, rest = narrowed(self._catalog, type_, criterion)
        every = len(self._catalog.heads(type_))
        lines = [f"{every} resources of {type_} are indexed in memory."]
        if among is None:
            lines.append("No posting narrows them.")
        else:
            lines.append(f"Postings of tokens, references, compartments and ids leave {len(among)}.")
        if rest == EVERYTHING:
            lines.append("Nothing more is asked of them.")
        elif has_joins(rest):
            lines.append("The chains are followed from set to set; what else is asked is evaluated on each.")
        else:
            lines.append(f"Evaluated on each: {', '.join(sorted(params(rest))) or 'the resource itself'}.")
        return "\n".join(lines)

    async def _filtered(self, criterion: Criterion, among: Sequence[Head]) -> Sequence[Head]:
        if criterion == EVERYTHING:
            return among
        asked = size(criterion)
        if len(among) <= _INLINE and len(among) * asked <= _ASKED:
            return filtered(self._catalog.rows, criterion, among)
        loop = asyncio.get_running_loop()
        piece = max(min(_PIECE, _PIECE_ASKED // asked), 1)
        found: list[Head] = []
        for start in range(0, len(among), piece):
            work = partial(filtered, self._catalog.rows, criterion, among[start : start + piece])
            found += await loop.run_in_executor(self._threads, work)
        return found

    async def _holding(self, type_: str, criterion: Criterion, among: set[Head]) -> set[Head]:
        """Return those among some for which a criterion holds that may have joins."""
        match criterion:
            case AllOf(criteria) if has_joins(criterion):
                simple, joins = split(criteria)
                among = set(await self._filtered(simple, list(among)))
                for one in joins:
                    among = await self._holding(type_, one, among)
                return among
            case AnyOf(criteria) if has_joins(criterion):
                found: set[Head] = set()
                for one in criteria:
                    found |= await self._holding(type_, one, among - found)
                return found
            case Not(inner) if has_joins(criterion):
                return among - await self._holding(type_, inner, among)
            case Chain():
                return await self._chained(type_, criterion, among)
            case Has():
                targets = await self._targets(type_, criterion)
                return {head for head in among if head.version.key.id in targets}
            case _:
                return set(await self._filtered(criterion, list(among)))

    async def _chained(self, type_: str, chain: Chain, among: set[Head]) -> set[Head]:
        targets = {head.version.key.id for head in await self.find(chain.type, chain.criterion)}
        if len(targets) <= _FEW:
            find = self._catalog.postings.find
            referring: set[Head] = set()
            for target in targets:
                referring.update(find("reference", type_, chain.param, chain.type, target))
            among = among & referring
        read = self._catalog.rows.some(len(among), {chain.param}, {"references"})
        return {head for head in among if not targets.isdisjoint(_references(read(head.rows), chain.param, chain.type))}

    async def _targets(self, type_: str, has: Has) -> set[str]:
        sources = await self.find(has.type, has.criterion)
        read = self._catalog.rows.some(len(sources), {has.param}, {"references"})
        return {id_ for head in sources for id_ in _references(read(head.rows), has.param, type_)}


def _references(rows: Rows, param: str, type_: str) -> Collection[str]:
    return [row.id for row in rows.references if row.param == param and row.type == type_]
