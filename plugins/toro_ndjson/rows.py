"""Index rows as JSON, the way they lie in files and in memory; of them only those a question is about become rows again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final

import msgspec

from toro_core.storage import (
    DateRow,
    GroupRow,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    StringRow,
    TokenRow,
    UriRow,
)

__all__ = ["NO_ROWS", "RowsReader", "decoded", "encoded", "plain", "sort_of"]

NO_ROWS: Final = b"{}"
_KINDS: Final[dict[str, Any]] = {
    "tokens": TokenRow,
    "strings": StringRow,
    "dates": DateRow,
    "references": ReferenceRow,
    "uris": UriRow,
    "numbers": NumberRow,
    "quantities": QuantityRow,
    "orders": OrderRow,
}
_KEPT: Final = 2_000
_FEW: Final = 500
_SHAPES: Final = 200
_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()


def encoded(rows: Rows) -> bytes:
    """Write rows as a JSON object of lists."""
    return _ENCODER.encode(_written(rows))


def plain(data: bytes) -> dict[str, Any]:
    """Read the lists of lists."""
    found: dict[str, Any] = _DECODER.decode(data)
    return found


def sort_of(data: bytes) -> int | None:
    """Return the sort value alone."""
    sort: int | None = plain(data).get("sort")
    return sort


def decoded(data: bytes) -> Rows:
    """Read rows."""
    found = plain(data)
    made: dict[str, Any] = {name: tuple(map(make, found[name])) for name, make in _MAKERS.items() if name in found}
    return Rows(sort=found.get("sort"), **made)


class RowsReader:
    """Reads rows, and keeps those that were read of late, so that small searches find them read."""

    def __init__(self) -> None:
        """Begin with none."""
        self._whole = lru_cache(_KEPT)(decoded)
        self.asked: Final = lru_cache(_SHAPES)(_asked)
        """Returns what reads only rows of these names and, as `Rows` has them, kinds."""

    def one(self, data: bytes | None) -> Rows:
        """Return a resource's rows."""
        return self._whole(data or NO_ROWS)

    def some(
        self, count: int, params: Collection[str], kinds: Collection[str] = frozenset(_KINDS)
    ) -> Callable[[bytes | None], Rows]:
        """Return what reads the rows of so many resources; of many, only those of these names and, as `Rows` has them, kinds."""
        if count <= _FEW:
            return self.one
        return self.asked(frozenset(params), frozenset(kinds))


def _asked(params: frozenset[str], kinds: frozenset[str]) -> Callable[[bytes | None], Rows]:
    wanted = [name for name in (*_KINDS, "groups") if name in kinds]
    other = [name for name in ("compartments",) if name in kinds]
    # What is not asked for is passed over by the parser, which makes nothing of it.
    shape = msgspec.defstruct(
        "Wanted", [(name, list[Any], msgspec.field(default_factory=list)) for name in wanted + other]
    )
    decode = msgspec.json.Decoder(shape).decode

    def read(data: bytes | None) -> Rows:
        found = decode(data or NO_ROWS)
        made: dict[str, Any] = {name: tuple(getattr(found, name)) for name in other}
        for name in wanted:
            make = _MAKERS[name]
            made[name] = tuple([make(each) for each in getattr(found, name) if each[0] in params])
        return Rows(**made)

    return read


def _written(rows: Rows) -> dict[str, Any]:
    written: dict[str, Any] = {name: found for name in _KINDS if (found := getattr(rows, name))}
    if rows.sort is not None:
        written["sort"] = rows.sort
    if rows.groups:
        written["groups"] = [(group.param, _written(group.rows)) for group in rows.groups]
    if rows.compartments:
        written["compartments"] = rows.compartments
    return written


def _group(written: list[Any]) -> GroupRow:
    param, rows = written
    made: dict[str, Any] = {name: tuple(map(_MAKERS[name], found)) for name, found in rows.items()}
    return GroupRow(param, Rows(**made))


_MAKERS: Final[dict[str, Callable[[Any], Any]]] = {
    **{name: kind._make for name, kind in _KINDS.items()},
    "groups": _group,
    "compartments": str,
}
