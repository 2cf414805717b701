"""Resources in batches, each worth a commit."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from toro_core.importing.sources import Incoming, Refused

__all__ = ["Batch", "batches", "no_collection"]

_BATCH: Final = 2_000
_BATCH_BYTES: Final = 8_000_000


class Batch(NamedTuple):
    """Some resources, and what could not be read among them."""

    resources: list[Incoming]
    unread: list[Refused]


def batches(incoming: Iterable[Incoming | Refused], *, stop: bool) -> Iterator[Batch]:
    """Cut what is read into batches, bounded by number and by bytes; with `stop` the last ends where something cannot be read."""
    batch = Batch([], [])
    size = 0
    for one in incoming:
        if isinstance(one, Refused):
            batch.unread.append(one)
            if stop:
                break
            continue
        batch.resources.append(one)
        size += one.size
        if len(batch.resources) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = Batch([], []), 0
    if batch.resources or batch.unread:
        yield batch


@contextmanager
def no_collection() -> Iterator[None]:
    """Look for no cycles: resources have none, and looking through them takes a third of an import."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
