"""A part of a file to batches that are ready to be written."""

from __future__ import annotations

from toro_core.importing.batches import batches
from toro_core.importing.preparing import Prepared, Preparer
from toro_core.importing.sources import Part, read_part

__all__ = ["prepare_part"]


def prepare_part(part: Part, preparer: Preparer, *, stop: bool) -> list[Prepared]:
    """Read a part and make ready what is in it; with `stop` up to the batch in which the first is refused."""
    found: list[Prepared] = []
    for resources, unread in batches(read_part(part), stop=stop):
        found.append(preparer.prepare(resources, unread))
        if stop and found[-1].refused:
            break
    return found
