"""What the catalog holds at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toro_core.storage import StateRecord
from toro_ndjson.catalog import Catalog
from toro_ndjson.versions import Head, Version

__all__ = ["Picture"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a generation is made of."""

    generation: int
    log: Sequence[Version]
    heads: Mapping[str, Sequence[Head]]
    state: Sequence[StateRecord]
    seq: int
    at: int
    revision: int

    @classmethod
    def of(cls, catalog: Catalog, generation: int) -> Picture:
        """Take a picture while nothing changes."""
        return cls(
            generation=generation,
            log=list(catalog.log),
            heads={type_: list(catalog.heads(type_).values()) for type_ in catalog.types()},
            state=list(catalog.state.values()),
            seq=catalog.seq,
            at=catalog.at,
            revision=catalog.revision,
        )
