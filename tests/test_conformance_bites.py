"""Backends broken on purpose, each caught by the test that is meant for its fault."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from toro_core.errors import PreconditionFailed, StateConflict, StorageError, Unsupported
from toro_core.search.plan import (
    MISSING,
    AllOf,
    AnyOf,
    Chain,
    Composite,
    Criterion,
    Has,
    Not,
    Number,
    Period,
    Present,
    Quantity,
    SearchPlan,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    ANY,
    Absent,
    Body,
    Capability,
    GivesLines,
    HistoryPlan,
    Indexed,
    Key,
    LineBatch,
    Loading,
    Page,
    Rows,
    ScanPlan,
    StateRecord,
    Storage,
    Stored,
    TokenRow,
    Version,
    Watermark,
    Write,
)
from toro_core.testing import StorageConformance
from toro_core.testing.making import write
from toro_sqlite import open_sqlite


class Sound:
    """Passes everything on."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.storage.capabilities

    async def read(self, key: Key, version: int | None = None) -> Stored:
        return await self.storage.read(key, version)

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        return await self.storage.read_many(keys)

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        return await self.storage.commit(writes)

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        await self.storage.reindex(indexed)

    async def search(self, plan: SearchPlan) -> Page:
        return await self.storage.search(plan)

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        return await self.storage.count(plan, at_most)

    async def history(self, plan: HistoryPlan) -> Page:
        return await self.storage.history(plan)

    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.scan(plan):
            yield batch

    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.changes(after):
            yield batch

    async def watermark(self) -> Watermark:
        return await self.storage.watermark()

    async def load(self, versions: Sequence[Loading]) -> None:
        await self.storage.load(versions)

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        return await self.storage.put_state(key, value, if_revision=if_revision, ttl=ttl)

    async def get_state(self, key: str) -> StateRecord | None:
        return await self.storage.get_state(key)

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        return await self.storage.list_state(prefix)

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        return await self.storage.delete_state(key, if_revision=if_revision)


class CommitsOneByOne(Sound):
    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        return [stored for each in writes for stored in await self.storage.commit([each])]


class ExpectsNothing(Sound):
    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        return await self.storage.commit([dataclasses.replace(each, expect=ANY) for each in writes])


class ChecksBeforeItWrites(Sound):
    """The check and the write are two steps, so two callers may both pass the check."""

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        for each in writes:
            if isinstance(each.expect, Version) and (await self.storage.read(each.key)).version != each.expect.number:
                raise PreconditionFailed
            await asyncio.sleep(0)
        return await self.storage.commit([dataclasses.replace(each, expect=ANY) for each in writes])


class RefusesTombstonesAsAbsent(Sound):
    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        for each in writes:
            if isinstance(each.expect, Absent) and (await self.storage.read_many([each.key]))[0] is not None:
                raise PreconditionFailed
        return await self.storage.commit(writes)


class SharesNoSequence(Sound):
    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self._numbers = itertools.count(1)

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        stored = await self.storage.commit(writes)
        return [each._replace(seq=next(self._numbers)) for each in stored]


class StopsHalfWayWhenCancelled(Sound):
    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        done: list[Stored] = []
        for each in writes:
            done += await self.storage.commit([each])
            await asyncio.sleep(0)
        return done


class KeepsOldRows(Sound):
    """An update adds the new index rows and leaves the old ones."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self._rows: dict[Key, Rows] = {}

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        changed = []
        for each in writes:
            old = self._rows.get(each.key, Rows())
            rows = msgspec.structs.replace(
                each.rows, tokens=old.tokens + each.rows.tokens, strings=old.strings + each.rows.strings
            )
            self._rows[each.key] = rows
            changed.append(dataclasses.replace(each, rows=rows))
        return await self.storage.commit(changed)


class ReadsInItsOwnOrder(Sound):
    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        return await self.storage.read_many(sorted(keys))


class ParsesJson(Sound):
    async def read(self, key: Key, version: int | None = None) -> Stored:
        stored = await self.storage.read(key, version)
        return stored._replace(json=json.dumps(json.loads(stored.json)).encode() if stored.json else b"")


class PagesByOffset(Sound):
    async def search(self, plan: SearchPlan) -> Page:
        start = int(plan.cursor[0] or 0) if plan.cursor else 0
        page = await self.storage.search(dataclasses.replace(plan, limit=10_000, cursor=None))
        rest = list(page.resources)[start:]
        cursor = (start + plan.limit,) if len(rest) > plan.limit else None
        return Page(resources=rest[: plan.limit], cursor=cursor)


class PagesByKeyAlone(Sound):
    """Goes on after the last key, and so skips the others that have it."""

    async def search(self, plan: SearchPlan) -> Page:
        page = await self.storage.search(plan)
        if page.cursor is None or plan.sort[0].param == "_id":
            return page
        last = -(2**63) if plan.sort[0].descending else 2**63 - 1
        return Page(resources=page.resources, cursor=(*page.cursor[:2], last))


class AlwaysHasAnotherPage(Sound):
    async def search(self, plan: SearchPlan) -> Page:
        page = await self.storage.search(plan)
        if page.cursor is None and len(page.resources) == plan.limit:
            last = await self.storage.search(dataclasses.replace(plan, limit=max(1, plan.limit - 1)))
            return Page(resources=page.resources, cursor=last.cursor or (0, 0, 0))
        return page


class CutsAndStops(Sound):
    """Takes a page cut by bytes for the last one."""

    async def search(self, plan: SearchPlan) -> Page:
        page = await self.storage.search(plan)
        return page if len(page.resources) == plan.limit else Page(resources=page.resources, cursor=None)


class IgnoresBytes(Sound):
    async def search(self, plan: SearchPlan) -> Page:
        return await self.storage.search(dataclasses.replace(plan, max_bytes=10**9))


class SortsMissingLowest(Sound):
    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        lowest = [
            dataclasses.replace(each, rows=msgspec.structs.replace(each.rows, sort=-(2**62)))
            if each.rows.sort == MISSING
            else each
            for each in writes
        ]
        return await self.storage.commit(lowest)


class SortsByOneValue(Sound):
    """Sorts by the lowest value in both directions."""

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        changed = [
            dataclasses.replace(
                each,
                rows=msgspec.structs.replace(
                    each.rows, orders=tuple(order._replace(high=order.low) for order in each.rows.orders)
                ),
            )
            for each in writes
        ]
        return await self.storage.commit(changed)


class CountsAPage(Sound):
    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        return min(plan.limit, await self.storage.count(plan, at_most))


class CountsOn(Sound):
    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        return await self.storage.count(plan)


class ForgetsTheBoundary(Sound):
    """Takes ge for gt."""

    async def search(self, plan: SearchPlan) -> Page:
        return await self.storage.search(dataclasses.replace(plan, criterion=_as_gt(plan.criterion)))

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        return await self.storage.count(dataclasses.replace(plan, criterion=_as_gt(plan.criterion)), at_most)


def _as_gt(criterion: Criterion) -> Criterion:
    if isinstance(criterion, Period) and criterion.prefix == "ge":
        return dataclasses.replace(criterion, prefix="gt")
    return criterion


class NestsWrongly(Sound):
    """Takes an AnyOf within an AllOf for an AllOf."""

    async def search(self, plan: SearchPlan) -> Page:
        return await self.storage.search(dataclasses.replace(plan, criterion=_flat(plan.criterion)))

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        return await self.storage.count(dataclasses.replace(plan, criterion=_flat(plan.criterion)), at_most)


def _flat(criterion: Criterion) -> Criterion:
    if isinstance(criterion, AllOf):
        return AllOf(tuple(AllOf(each.criteria) if isinstance(each, AnyOf) else each for each in criterion.criteria))
    return criterion


class CutsTextAtNul(Sound):
    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        changed = []
        for each in writes:
            tokens = tuple(TokenRow(row.param, row.system, row.code.partition("\0")[0]) for row in each.rows.tokens)
            changed.append(dataclasses.replace(each, rows=msgspec.structs.replace(each.rows, tokens=tokens)))
        return await self.storage.commit(changed)


class IgnoresSystems(Sound):
    async def search(self, plan: SearchPlan) -> Page:
        criterion = plan.criterion
        if isinstance(criterion, Token) and criterion.code is not None:
            criterion = dataclasses.replace(criterion, system=None)
        return await self.storage.search(dataclasses.replace(plan, criterion=criterion))


class Rewrites(Sound):
    """Executes other criteria than those it is given, wherever they stand."""

    def changed(self, criterion: Criterion) -> Criterion:
        raise NotImplementedError

    async def search(self, plan: SearchPlan) -> Page:
        return await self.storage.search(dataclasses.replace(plan, criterion=self._rewritten(plan.criterion)))

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        return await self.storage.count(dataclasses.replace(plan, criterion=self._rewritten(plan.criterion)), at_most)

    def _rewritten(self, criterion: Criterion) -> Criterion:
        match criterion:
            case AllOf(criteria):
                return AllOf(tuple(map(self._rewritten, criteria)))
            case AnyOf(criteria):
                return AnyOf(tuple(map(self._rewritten, criteria)))
            case Not() | Composite() | Chain() | Has() if (other := self.changed(criterion)) is not criterion:
                return other
            case Not(inner):
                return Not(self._rewritten(inner))
            case Chain() | Has():
                return dataclasses.replace(criterion, criterion=self._rewritten(criterion.criterion))
        return self.changed(criterion)


class LooksAtStartsAlone(Rewrites):
    def changed(self, criterion: Criterion) -> Criterion:
        return dataclasses.replace(criterion, match="starts") if isinstance(criterion, Text) else criterion


class LooksAtWholeUris(Rewrites):
    def changed(self, criterion: Criterion) -> Criterion:
        return dataclasses.replace(criterion, match="exact") if isinstance(criterion, Uri) else criterion


class ComparesWhateverTheUnit(Rewrites):
    def changed(self, criterion: Criterion) -> Criterion:
        return dataclasses.replace(criterion, code=None) if isinstance(criterion, Quantity) else criterion


class ForgetsTheBoundaryOfNumbers(Rewrites):
    """Takes ge for gt."""

    def changed(self, criterion: Criterion) -> Criterion:
        if isinstance(criterion, Number) and criterion.prefix == "ge":
            return dataclasses.replace(criterion, prefix="gt")
        return criterion


class FindsNothingApproximate(Rewrites):
    """Takes ap for eq."""

    def changed(self, criterion: Criterion) -> Criterion:
        if isinstance(criterion, Period) and criterion.prefix == "ap":
            return dataclasses.replace(criterion, prefix="eq")
        return criterion


class LooksAcrossGroups(Rewrites):
    def changed(self, criterion: Criterion) -> Criterion:
        if isinstance(criterion, Composite):
            return AllOf((*criterion.criteria, Present(param=criterion.param)))
        return criterion


class NegatesWhatIsThere(Rewrites):
    """Takes "not this code" for "another code"."""

    def changed(self, criterion: Criterion) -> Criterion:
        if isinstance(criterion, Not) and isinstance(criterion.criterion, Token):
            return AllOf((criterion, Present(param=criterion.criterion.param)))
        return criterion


class ChainsToNobody(Rewrites):
    """Takes any reference to the type for one that leads somewhere."""

    def changed(self, criterion: Criterion) -> Criterion:
        if isinstance(criterion, Chain) and criterion.criterion == AllOf(()):
            return Present(param=criterion.param, type=criterion.type)
        return criterion


class AsksNothingOfWhatRefers(Rewrites):
    def changed(self, criterion: Criterion) -> Criterion:
        return dataclasses.replace(criterion, criterion=AllOf(())) if isinstance(criterion, Has) else criterion


class PresentsAnyType(Rewrites):
    def changed(self, criterion: Criterion) -> Criterion:
        return dataclasses.replace(criterion, type=None) if isinstance(criterion, Present) else criterion


class SortsByOneKey(Sound):
    async def search(self, plan: SearchPlan) -> Page:
        return await self.storage.search(dataclasses.replace(plan, sort=plan.sort[:1]))


class KeepsItsIndex(Sound):
    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        pass


class IndexesWhateverTheVersion(Sound):
    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        current = await self.storage.read_many([each.key for each in indexed])
        await self.storage.reindex(
            [
                each._replace(version=stored.version)
                for each, stored in zip(indexed, current, strict=True)
                if stored is not None
            ]
        )


class IndexesByWriting(Sound):
    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        await self.storage.commit([write(each.key.id, each.rows, type=each.key.type) for each in indexed])


class FindsTheDeleted(Sound):
    """Deletes by writing an empty version that is still found."""

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        kept = [write(each.key.id, each.rows, type=each.key.type) if each.body is None else each for each in writes]
        return await self.storage.commit(kept)


class HidesWhatItCan(Sound):
    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()


class KeepsStateForEver(Sound):
    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        return await self.storage.put_state(key, value, if_revision=if_revision, ttl=ttl and ttl + 3600)


class RacesOverState(Sound):
    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        record = await self.storage.get_state(key)
        if if_revision is not None and if_revision != (record.revision if record else 0):
            raise StateConflict
        return await self.storage.put_state(key, value, ttl=ttl)


class TakesPrefixesForPatterns(Sound):
    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        return await self.storage.list_state(prefix.partition("%")[0])


class ScansWhatIsCurrentNow(Sound):
    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.scan(plan):
            current = await self.storage.read_many([stored.key for stored in batch])
            yield [stored for stored in current if stored]


class ScansBeyondItsEnd(Sound):
    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.scan(dataclasses.replace(plan, up_to=None)):
            yield batch


class GivesLinesOfNow(Sound):
    async def lines(self, plan: ScanPlan) -> AsyncIterator[LineBatch]:
        assert isinstance(self.storage, GivesLines)
        async for batch in self.storage.lines(dataclasses.replace(plan, as_of=2**62)):
            yield batch


class CutsCommitsOfLines(Sound):
    async def lines(self, plan: ScanPlan) -> AsyncIterator[LineBatch]:
        assert isinstance(self.storage, GivesLines)
        async for batch in self.storage.lines(plan):
            for some in batch.lines:
                yield LineBatch(batch.seq, [some])


class CutsCommits(Sound):
    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.changes(after):
            for stored in batch:
                yield [stored]


class FeedsCurrentVersionsAlone(Sound):
    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.changes(after):
            current = await self.storage.read_many([stored.key for stored in batch])
            yield [stored for stored in batch if stored in current]


class FeedsFromOneLater(Sound):
    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.changes(after + 1 if after else after):
            yield batch


class TakesTheClockForItsWatermark(Sound):
    """The time is the clock's, so that a commit in the same millisecond is on both sides of it."""

    async def watermark(self) -> Watermark:
        last = [stored async for batch in self.storage.changes(0) for stored in batch]
        return Watermark(seq=last[-1].seq if last else 0, at=(last[-1].at if last else 0) + 10)


class OrdersHistoriesByResource(Sound):
    async def history(self, plan: HistoryPlan) -> Page:
        page = await self.storage.history(plan)
        return Page(resources=sorted(page.resources, key=lambda stored: stored.key), cursor=page.cursor)


class TakesUntilForInclusive(Sound):
    async def history(self, plan: HistoryPlan) -> Page:
        until = None if plan.until is None else plan.until + 1
        return await self.storage.history(dataclasses.replace(plan, until=until))


class ForgetsWhenVersionsEnded(Sound):
    async def history(self, plan: HistoryPlan) -> Page:
        return await self.storage.history(dataclasses.replace(plan, current_after=None))


class LoadsIntoWhatIsThere(Sound):
    async def load(self, versions: Sequence[Loading]) -> None:
        with contextlib.suppress(Unsupported):
            await self.storage.load(versions)


class LoadsWithoutRows(Sound):
    async def load(self, versions: Sequence[Loading]) -> None:
        await self.storage.load([each._replace(rows=each.rows and Rows()) for each in versions])


class LoadsAsCommits(Sound):
    """The versions are there, and with numbers of their own."""

    async def load(self, versions: Sequence[Loading]) -> None:
        for stored, rows in versions:
            body = None if stored.deleted else Body(before=b'{"meta":{', after=b"}}")
            await self.storage.commit([Write(key=stored.key, body=body, rows=rows or Rows())])


class ClaimsHistory(Sound):
    async def read(self, key: Key, version: int | None = None) -> Stored:
        if version is not None:
            raise Unsupported
        return await self.storage.read(key)

    async def history(self, plan: HistoryPlan) -> Page:
        raise Unsupported


class ClaimsTransactions(Sound):
    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        if len(writes) > 1:
            raise Unsupported
        return await self.storage.commit(writes)


class ClaimsJoins(Rewrites):
    def changed(self, criterion: Criterion) -> Criterion:
        if isinstance(criterion, Chain | Has):
            raise Unsupported
        return criterion


class ClaimsOrder(Sound):
    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        raise Unsupported
        yield ()

    async def history(self, plan: HistoryPlan) -> Page:
        if plan.key is None:
            raise Unsupported
        return await self.storage.history(plan)


class ClaimsSnapshots(Sound):
    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        raise Unsupported
        yield ()


class ClaimsThatRecordsExpire(Sound):
    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        if ttl is not None:
            raise Unsupported
        return await self.storage.put_state(key, value, if_revision=if_revision)


class ReadsTheCurrentForAnyVersion(Sound):
    async def read(self, key: Key, version: int | None = None) -> Stored:
        return await self.storage.read(key)


class MixesTypesOfHistories(Sound):
    async def history(self, plan: HistoryPlan) -> Page:
        return await self.storage.history(dataclasses.replace(plan, types=()))


class ForgetsTombstonesOfHistories(Sound):
    async def history(self, plan: HistoryPlan) -> Page:
        page = await self.storage.history(plan)
        return Page(resources=[each for each in page.resources if not each.deleted], cursor=page.cursor)


class NarrowsNoHistoryOfOne(Sound):
    """As one that thought times were for histories of types alone."""

    async def history(self, plan: HistoryPlan) -> Page:
        if plan.key is not None:
            plan = dataclasses.replace(plan, since=None, until=None, current_after=None)
        return await self.storage.history(plan)


class PagesHistoriesByOffset(Sound):
    async def history(self, plan: HistoryPlan) -> Page:
        start = int(plan.cursor[0] or 0) if plan.cursor else 0
        page = await self.storage.history(dataclasses.replace(plan, cursor=None, limit=start + plan.limit))
        end = start + plan.limit
        return Page(resources=page.resources[start:end], cursor=(end,) if page.cursor else None)


class ForgetsTombstonesOfScans(Sound):
    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        async for batch in self.storage.scan(plan):
            yield [each for each in batch if not each.deleted]


class FeedsUpToTheLastButOne(Sound):
    async def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        mark = await self.storage.watermark()
        async for batch in self.storage.changes(after):
            yield [each for each in batch if each.seq < mark.seq]


class NamesATimeAndGivesItAgain(Sound):
    """Its watermark promises a time that the next commit may get as well."""

    async def watermark(self) -> Watermark:
        mark = await self.storage.watermark()
        return Watermark(seq=mark.seq, at=mark.at + 1000)


class TakesAbsentForAny(Sound):
    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        return await self.storage.put_state(key, value, if_revision=if_revision or None, ttl=ttl)


class TakesTheExpiredForThere(Sound):
    """What has expired is gone, but for who writes it anew."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self.written: set[str] = set()

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        if if_revision == 0 and key in self.written:
            raise StateConflict
        self.written.add(key)
        return await self.storage.put_state(key, value, if_revision=if_revision, ttl=ttl)


class KeepsAnExpiry(Sound):
    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        before = await self.storage.get_state(key)
        kept = 3600 if before is not None and before.expires_at is not None else None
        return await self.storage.put_state(key, value, if_revision=if_revision, ttl=ttl or kept)


class DeletesWhateverTheRevision(Sound):
    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        return await self.storage.delete_state(key)


class BeginsRevisionsAnew(Sound):
    """Counts for each record, and forgets what it counted with it."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self.counts: dict[str, int] = {}

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        await self.storage.put_state(key, value, ttl=ttl)
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        self.counts.pop(key, None)
        return await self.storage.delete_state(key)


class CommitsTwiceWhenCancelled(Sound):
    """A caller that was cancelled is taken for one that failed, and what it wanted is done again."""

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        try:
            return await asyncio.shield(first := asyncio.ensure_future(self.storage.commit(writes)))
        except asyncio.CancelledError:
            await first
            await self.storage.commit(writes[:1])
            raise


BITES: list[tuple[type[Sound], str, dict[str, Any]]] = [
    (
        CommitsOneByOne,
        "test_a_failing_write_in_the_middle_leaves_nothing",
        {"spoiler": write("nobody", expect=Version(1)), "error": PreconditionFailed},
    ),
    (ExpectsNothing, "test_a_version_is_expected_exactly", {}),
    (ExpectsNothing, "test_exactly_one_of_many_racing_creates_wins", {}),
    (ChecksBeforeItWrites, "test_exactly_one_of_many_racing_updates_wins", {}),
    (RefusesTombstonesAsAbsent, "test_absent_accepts_a_tombstone", {}),
    (SharesNoSequence, "test_a_commit_has_one_sequence_and_time_and_neither_goes_back", {}),
    (StopsHalfWayWhenCancelled, "test_a_cancelled_commit_is_whole_or_not_at_all", {}),
    (KeepsOldRows, "test_an_update_moves_every_index_row", {}),
    (ReadsInItsOwnOrder, "test_many_are_read_in_the_order_asked", {}),
    (ParsesJson, "test_any_bytes_of_json_come_back_unchanged", {}),
    (
        PagesByOffset,
        "test_a_resource_whose_key_stays_appears_once_whatever_is_written_meanwhile",
        {"param": "_id", "descending": False},
    ),
    (
        PagesByKeyAlone,
        "test_a_resource_whose_key_stays_appears_once_whatever_is_written_meanwhile",
        {"param": "key", "descending": False},
    ),
    (AlwaysHasAnotherPage, "test_a_cursor_comes_exactly_where_something_follows", {}),
    (CutsAndStops, "test_a_page_is_cut_by_bytes_too_but_has_a_resource", {}),
    (IgnoresBytes, "test_a_page_is_cut_by_bytes_too_but_has_a_resource", {}),
    (SortsMissingLowest, "test_the_default_order_is_the_resources_own_sort_value_with_missing_ones_last", {}),
    (SortsByOneValue, "test_a_parameter_sorts_by_its_lowest_ascending_and_its_highest_descending", {"texts": False}),
    (CountsAPage, "test_a_count_is_of_all_that_match_and_stops_where_told", {}),
    (CountsOn, "test_a_count_is_of_all_that_match_and_stops_where_told", {}),
    (ForgetsTheBoundary, "test_every_prefix_keeps_to_its_boundaries", {"offset": 0, "scale": 1}),
    (NestsWrongly, "test_criteria_combine", {}),
    (NestsWrongly, "test_any_plan_finds_and_orders_as_the_reference_says", {"seed": 0}),
    (CutsTextAtNul, "test_values_are_values_whatever_is_in_them", {}),
    (IgnoresSystems, "test_a_token_is_found_by_system_code_or_both", {}),
    (LooksAtStartsAlone, "test_text_is_found_by_a_part_or_by_all_of_it", {}),
    (LooksAtWholeUris, "test_a_uri_is_found_by_how_it_starts", {}),
    (ComparesWhateverTheUnit, "test_every_prefix_compares_quantities_in_their_unit", {}),
    (ForgetsTheBoundaryOfNumbers, "test_every_prefix_compares_numbers_as_it_should", {"scale": 1}),
    (FindsNothingApproximate, "test_every_prefix_keeps_to_its_boundaries", {"offset": 0, "scale": 1}),
    (LooksAcrossGroups, "test_a_composite_holds_within_one_group", {}),
    (LooksAcrossGroups, "test_any_plan_finds_and_orders_as_the_reference_says", {"seed": 0}),
    (NegatesWhatIsThere, "test_not_is_the_contrary_of_all_there_is", {}),
    (ChainsToNobody, "test_a_chain_leads_through_references_or_is_said_to_be_unsupported", {}),
    (AsksNothingOfWhatRefers, "test_what_is_referred_to_is_found_by_what_refers_to_it_or_said_to_be_unsupported", {}),
    (AsksNothingOfWhatRefers, "test_any_plan_finds_and_orders_as_the_reference_says", {"seed": 0}),
    (PresentsAnyType, "test_presence_is_of_rows_of_any_kind", {}),
    (SortsByOneKey, "test_where_one_key_is_equal_the_next_decides", {}),
    (HidesWhatItCan, "test_a_chain_leads_through_references_or_is_said_to_be_unsupported", {}),
    (HidesWhatItCan, "test_what_is_referred_to_is_found_by_what_refers_to_it_or_said_to_be_unsupported", {}),
    (KeepsItsIndex, "test_new_rows_take_the_place_of_the_old_ones", {}),
    (IndexesWhateverTheVersion, "test_what_has_changed_since_it_was_read_is_left_as_it_is", {}),
    (IndexesByWriting, "test_reindexing_makes_no_version_and_moves_no_time", {}),
    (FindsTheDeleted, "test_ids_are_found_however_many_are_asked_for", {}),
    (HidesWhatItCan, "test_a_past_version_is_read_by_its_number_where_history_is_kept", {}),
    (HidesWhatItCan, "test_history_is_newest_first_with_tombstones_or_said_to_be_unsupported", {}),
    (HidesWhatItCan, "test_an_expired_record_counts_as_absent", {}),
    (KeepsStateForEver, "test_an_expired_record_counts_as_absent", {}),
    (RacesOverState, "test_exactly_one_of_many_racing_puts_wins", {}),
    (ScansWhatIsCurrentNow, "test_a_scan_sees_what_was_current_at_its_sequence", {}),
    (ScansWhatIsCurrentNow, "test_a_scan_goes_on_as_it_began_whatever_is_written_meanwhile", {}),
    (ScansBeyondItsEnd, "test_a_scan_may_be_cut_into_parts", {}),
    (GivesLinesOfNow, "test_lines_are_the_json_that_a_scan_yields", {}),
    (CutsCommitsOfLines, "test_lines_are_the_json_that_a_scan_yields", {}),
    (CutsCommits, "test_a_batch_is_whole_commits", {}),
    (FeedsCurrentVersionsAlone, "test_changes_are_every_version_in_commit_order", {}),
    (FeedsFromOneLater, "test_changes_that_come_while_many_write_miss_nothing", {}),
    (TakesTheClockForItsWatermark, "test_the_watermark_parts_what_is_there_from_what_comes", {}),
    (OrdersHistoriesByResource, "test_the_history_of_types_and_of_all_is_newest_first", {}),
    (TakesUntilForInclusive, "test_a_history_may_be_narrowed_to_a_time", {}),
    (ForgetsWhenVersionsEnded, "test_a_history_may_be_narrowed_to_a_time", {}),
    (LoadsIntoWhatIsThere, "test_what_is_not_empty_takes_nothing_over", {}),
    (LoadsWithoutRows, "test_what_is_loaded_is_as_it_was_elsewhere", {}),
    (LoadsAsCommits, "test_what_is_loaded_is_as_it_was_elsewhere", {}),
    (HidesWhatItCan, "test_changes_are_every_version_in_commit_order", {}),
    (HidesWhatItCan, "test_a_scan_sees_what_was_current_at_its_sequence", {}),
    (
        HidesWhatItCan,
        "test_a_failing_write_in_the_middle_leaves_nothing",
        {"spoiler": write("nobody", expect=Version(1)), "error": PreconditionFailed},
    ),
    (
        ClaimsTransactions,
        "test_a_failing_write_in_the_middle_leaves_nothing",
        {"spoiler": write("nobody", expect=Version(1)), "error": PreconditionFailed},
    ),
    (ClaimsHistory, "test_a_past_version_is_read_by_its_number_where_history_is_kept", {}),
    (ClaimsHistory, "test_history_is_newest_first_with_tombstones_or_said_to_be_unsupported", {}),
    (ClaimsJoins, "test_a_chain_leads_through_references_or_is_said_to_be_unsupported", {}),
    (ClaimsJoins, "test_what_is_referred_to_is_found_by_what_refers_to_it_or_said_to_be_unsupported", {}),
    (ClaimsOrder, "test_changes_are_every_version_in_commit_order", {}),
    (ClaimsOrder, "test_the_history_of_types_and_of_all_is_newest_first", {}),
    (ClaimsSnapshots, "test_a_scan_sees_what_was_current_at_its_sequence", {}),
    (ClaimsThatRecordsExpire, "test_an_expired_record_counts_as_absent", {}),
    (ReadsTheCurrentForAnyVersion, "test_a_past_version_is_read_by_its_number_where_history_is_kept", {}),
    (MixesTypesOfHistories, "test_the_history_of_types_and_of_all_is_newest_first", {}),
    (ForgetsTombstonesOfHistories, "test_history_is_newest_first_with_tombstones_or_said_to_be_unsupported", {}),
    (NarrowsNoHistoryOfOne, "test_the_history_of_one_resource_may_be_narrowed_to_a_time", {}),
    (PagesHistoriesByOffset, "test_history_comes_in_pages_whatever_is_written_meanwhile", {}),
    (ForgetsTombstonesOfScans, "test_a_scan_sees_what_was_current_at_its_sequence", {}),
    (FeedsUpToTheLastButOne, "test_changes_are_every_version_in_commit_order", {}),
    (NamesATimeAndGivesItAgain, "test_the_watermark_parts_what_is_there_from_what_comes", {}),
    (TakesAbsentForAny, "test_a_record_is_replaced_only_at_the_revision_expected", {}),
    (TakesTheExpiredForThere, "test_an_expired_record_counts_as_absent", {}),
    (KeepsAnExpiry, "test_a_put_without_ttl_takes_an_expiry_away", {}),
    (DeletesWhateverTheRevision, "test_a_record_is_deleted_only_at_the_revision_expected", {}),
    (BeginsRevisionsAnew, "test_a_revision_grows_with_every_change_of_the_key_and_never_comes_again", {}),
    (CommitsTwiceWhenCancelled, "test_a_cancelled_commit_is_whole_or_not_at_all", {}),
    (TakesPrefixesForPatterns, "test_records_are_listed_by_prefix_in_key_order", {}),
]


async def _run(broken: type[Sound], test: str, args: dict[str, Any], folder: Path) -> None:
    async with open_sqlite(f"sqlite:///{folder}/toro.db") as storage:
        await getattr(StorageConformance(), test)(broken(storage), **args)


@pytest.mark.parametrize(
    ("broken", "test", "args"), BITES, ids=[f"{broken.__name__}-{test[5:40]}" for broken, test, _ in BITES]
)
async def test_a_broken_backend_is_caught(broken: type[Sound], test: str, args: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, StorageError)):
        await _run(broken, test, args, tmp_path / "broken")
    # The same test, given the same way, lets a sound backend pass: it was the fault that was caught.
    await _run(Sound, test, args, tmp_path / "sound")


def _forgetful(folder: Path) -> Callable[[], AbstractAsyncContextManager[Storage]]:
    numbers = itertools.count()

    @asynccontextmanager
    async def reopen() -> AsyncIterator[Storage]:
        async with open_sqlite(f"sqlite:///{folder}/{next(numbers)}.db") as storage:
            yield storage

    return reopen


@pytest.mark.parametrize(
    "test",
    [
        "test_closing_waits_for_commits_and_opening_again_shows_them",
        "test_sequences_versions_and_revisions_continue_after_opening_again",
    ],
)
async def test_a_backend_that_forgets_on_closing_is_caught(test: str, tmp_path: Path) -> None:
    # A missing resource may show as a failed assertion or as the storage's own NotFound.
    with pytest.raises(Exception, match=r"assert|does not exist"):
        await getattr(StorageConformance(), test)(_forgetful(tmp_path))
