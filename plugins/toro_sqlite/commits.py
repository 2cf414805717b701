"""A commit, inside the writer's transaction: expectations, then versions."""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.errors import AlreadyExists, Gone, NotFound, PreconditionFailed
from toro_core.storage import Absent, Stored, Version, Write, stamp
from toro_sqlite.conditions import check_after, check_before
from toro_sqlite.transaction import Transaction
from toro_sqlite.versions import Before, New, current, put, waves

__all__ = ["commit"]


def commit(transaction: Transaction, writes: Sequence[Write]) -> list[Stored]:
    """Write all, or raise what the contract says having written some: the caller rolls back."""
    check_before(transaction.names, writes)
    seq, at = transaction.tick()
    stored = []
    for wave in waves(writes, lambda write: write.key):
        befores = current(transaction, [write.key for write in wave])
        for write, before in zip(wave, befores, strict=True):
            _check(write, before)
        news = [_new(write, before.version + 1, seq, at) for write, before in zip(wave, befores, strict=True)]
        put(transaction, news, befores)
        stored += [new.stored for new in news]
    check_after(transaction.names, writes)
    return stored


def _new(write: Write, version: int, seq: int, at: int) -> New:
    if write.body is None:
        return New(Stored(write.key, version, seq, at, True, b""), None)
    return New(Stored(write.key, version, seq, at, False, stamp(write.body, version, at)), write.rows)


def _check(write: Write, before: Before) -> None:
    live = before.sort is not None
    if write.body is None and not live:
        if before.vid is None:
            raise NotFound(f"{write.key} does not exist")
        raise Gone(f"{write.key} is already deleted")
    match write.expect:
        case Absent() if live:
            raise AlreadyExists(f"{write.key} exists; update it instead")
        case Version(number) if not live or before.version != number:
            raise PreconditionFailed(f"{write.key} is not at version {number}; read it again and repeat the change")
