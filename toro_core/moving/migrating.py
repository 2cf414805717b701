"""One storage's whole content into another: versions as they are, index rows anew, state records at the end.

State comes last because it counts in a storage's sequences, and a target takes versions over only where it has none of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from toro_core.ahead import ahead
from toro_core.errors import ToroError, Unsupported
from toro_core.json import loads
from toro_core.moving.tally import tally
from toro_core.search.extract import Extractor
from toro_core.search.indexed import STATE_PREFIX, rules_of, store_rules
from toro_core.search.unindexed import index_new
from toro_core.storage import Indexed, Loading, Rows, Storage, Stored

__all__ = ["NothingToMove", "Progress", "TargetNotEmpty", "migrate"]

_BATCH_BYTES: Final = 8_000_000
_NEEDED: Final = frozenset({"history", "ordered_changes", "state_ttl"})

Progress = Callable[[int, int], None]
"""Is told the sequence reached and how many versions have been moved."""


class NothingToMove(ToroError):
    """There is nothing in the source; look at its URL, for a mistyped one is that of a new storage."""

    reason = "NOTHING_TO_MOVE"
    issue = "not-found"


class TargetNotEmpty(ToroError):
    """The target is not empty; name a new one, or go on with --resume where an earlier migration was stopped."""

    reason = "TARGET_NOT_EMPTY"
    issue = "conflict"


async def migrate(
    source: Storage,
    target: Storage,
    extractor: Extractor,
    progress: Progress,
    *,
    resume: bool = False,
    finish: bool = True,
    up_to: int | None = None,
) -> int:
    """Move everything and return how many versions that were; with `resume`, what is there already is passed over.

    Unless it is to `finish`, state records stay behind: once they are there, nothing that the source writes later can be moved.

    What is written to the source meanwhile is moved too, until nothing is new; `up_to` leaves out commits with a greater
    sequence. Raises NothingToMove, TargetNotEmpty, with `resume` where
    the target holds anything but the source's beginning, and Unsupported where one side cannot do it.
    """
    for name, storage, needed in (("source", source, {"ordered_changes"}), ("target", target, _NEEDED)):
        missing = sorted(needed - storage.capabilities)
        if missing:
            raise Unsupported(f"the {name} storage cannot be migrated: it does not declare {', '.join(missing)}")
    if await _is_empty(source):
        raise NothingToMove
    await index_new(source, extractor, lambda done: None)
    after = 0
    if not await _is_empty(target):
        if not resume:
            raise TargetNotEmpty
        after = await _beginning(source, target)
        await _reindex(target, extractor)
    moved = 0
    while True:
        reached, moved = await _copy(source, target, extractor, progress, (after, moved), up_to)
        if reached == after:
            break
        after = reached
    if finish:
        await _copy_state(source, target)
        await store_rules(target, rules_of(extractor))
    return moved


async def _is_empty(storage: Storage) -> bool:
    async for batch in storage.changes(0):
        if batch:
            return False
    return not await storage.list_state("")


async def _copy(
    source: Storage,
    target: Storage,
    extractor: Extractor,
    progress: Progress,
    place: tuple[int, int],
    up_to: int | None,
) -> tuple[int, int]:
    """Move the commits after a sequence, in loads of bounded size, and return where they end."""
    after, moved = place
    waiting: list[Loading] = []
    size = 0
    async for read in ahead(source.changes(after)):
        batch = read if up_to is None else [stored for stored in read if stored.seq <= up_to]
        if not batch:
            break
        waiting += await _loadings(source, extractor, batch, up_to)
        size += sum(len(stored.json) for stored in batch)
        if size >= _BATCH_BYTES:
            await target.load(waiting)
            after, moved = waiting[-1].stored.seq, moved + len(waiting)
            progress(after, moved)
            waiting, size = [], 0
    if waiting:
        await target.load(waiting)
        after, moved = waiting[-1].stored.seq, moved + len(waiting)
        progress(after, moved)
    return after, moved


async def _loadings(source: Storage, extractor: Extractor, batch: Sequence[Stored], up_to: int | None) -> list[Loading]:
    last = {stored.key: stored for stored in batch}
    current = await source.read_many(list(last))
    live = {
        stored.key
        for stored, now in zip(last.values(), current, strict=True)
        if now is not None
        and (now.version == stored.version or (up_to is not None and now.seq > up_to))
        and not stored.deleted
    }
    return [
        Loading(stored, _rows(extractor, stored) if stored is last[stored.key] and stored.key in live else None)
        for stored in batch
    ]


def _rows(extractor: Extractor, stored: Stored) -> Rows:
    try:
        return extractor.rows(loads(stored.json))
    except Exception as error:
        # Whatever the resource has, the operator needs its name.
        raise ToroError(
            f"{stored.key} version {stored.version} cannot be indexed ({type(error).__name__}); "
            "correct or delete it in the source and go on with --resume"
        ) from error


async def _beginning(source: Storage, target: Storage) -> int:
    """Return the last sequence in the target, having made sure that it holds the source's beginning and nothing else."""
    reached = 0
    async for batch in target.changes(0):
        reached = batch[-1].seq if batch else reached
    if await tally(source, up_to=reached) != await tally(target, up_to=reached):
        raise TargetNotEmpty("the target holds something else than the source's beginning; name a new one")
    return reached


async def _reindex(target: Storage, extractor: Extractor) -> None:
    """Index again what an earlier run has loaded, which may have been another version's."""
    async for batch in target.changes(0):
        current = await target.read_many(list({stored.key for stored in batch}))
        there = {stored.key: stored for stored in current if stored is not None}
        mine = [stored for stored in batch if there.get(stored.key) == stored and not stored.deleted]
        await target.reindex([Indexed(stored.key, stored.version, _rows(extractor, stored)) for stored in mine])


async def _copy_state(source: Storage, target: Storage) -> None:
    """Put the source's records into the target with the time that is left to them, and take out what the source has not."""
    records = await source.list_state("")
    keys = {record.key for record in records}
    for record in await target.list_state(""):
        if record.key not in keys:
            await target.delete_state(record.key)
    for record in records:
        if record.key.startswith(STATE_PREFIX):
            continue
        left = None if record.expires_at is None else record.expires_at / 1000 - time.time()
        if left is None or left > 0:
            await target.put_state(record.key, record.value, ttl=left)
