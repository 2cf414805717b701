"""Versions of another storage, taken over as they are, inside the writer's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.errors import Unsupported
from toro_core.storage import Loading, Stored
from toro_sqlite.reads import past
from toro_sqlite.transaction import Transaction
from toro_sqlite.versions import Before, New, current, put, waves

__all__ = ["load"]


def load(transaction: Transaction, versions: Sequence[Loading]) -> None:
    """Take over what is not there yet, or raise Unsupported having written some: the caller rolls back."""
    reached = transaction.seq
    for wave in waves(versions, lambda loading: loading.stored.key):
        news, befores = [], []
        known = current(transaction, [loading.stored.key for loading in wave])
        for (stored, rows), before in zip(wave, known, strict=True):
            if _is_there(transaction, stored, before, reached):
                continue
            news.append(New(stored, rows))
            befores.append(before)
        if news:
            put(transaction, news, befores)
            last = news[-1].stored
            transaction.reach(last.seq, last.at)


def _is_there(transaction: Transaction, stored: Stored, before: Before, reached: int) -> bool:
    if stored.version <= before.version:
        if past(transaction.names, stored.key, stored.version) == stored:
            return True
        raise Unsupported(f"{stored.key} has another version {stored.version} here; migrate into an empty storage")
    if stored.seq <= reached:
        raise Unsupported("the storage has commits of its own; migrate into an empty one")
    return False
