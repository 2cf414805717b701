"""Index what lies in a storage without index rows: files that somebody else wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from toro_core.errors import ToroError
from toro_core.json import loads
from toro_core.search.extract import Extractor
from toro_core.storage import Indexed, Indexes, Key, Storage, Stored

__all__ = ["index_new"]


async def index_new(storage: Storage, extractor: Extractor, tell: Callable[[int], None]) -> bool:
    """Give every resource its rows and say whether the storage is one that asks for it.

    What cannot be read as its type says is left out. `tell` is given how many are done.
    """
    if not isinstance(storage, Indexes):
        return False
    done = 0
    async for batch in storage.unindexed():
        indexed, unfit = await asyncio.to_thread(_extracted, extractor, batch)
        await storage.leave_out(unfit)
        await storage.reindex(indexed)
        done += len(batch)
        tell(done)
    return True


def _extracted(extractor: Extractor, batch: Sequence[Stored]) -> tuple[list[Indexed], dict[Key, str]]:
    indexed: list[Indexed] = []
    unfit: dict[Key, str] = {}
    for stored in batch:
        if stored.key.type not in extractor.definitions.resource_types:
            unfit[stored.key] = "is of a type that FHIR R4 does not have"
            continue
        try:
            rows = extractor.rows(loads(stored.json))
        except ToroError:
            unfit[stored.key] = "is no JSON that FHIR allows"
        except Exception:
            # What has another shape than its definition makes the extractor stumble, wherever that is.
            unfit[stored.key] = "is not shaped as its type is defined"
        else:
            indexed.append(Indexed(stored.key, stored.version, rows))
    return indexed, unfit
