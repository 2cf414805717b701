"""Index rows as JSON, the way they lie in files and in memory; of them only those a question is about become rows again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
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


def decoded(data: bytes, params: Collection[str] | None = None) -> Rows:
    """Read rows; with `params`, those of these names alone, beside the sort value and the compartments."""
    found = plain(data)
    groups = found.get("groups", ())
    return Rows(
        sort=found.get("sort"),
        compartments=tuple(found.get("compartments", ())),
        groups=tuple(
            GroupRow(param, Rows(**_made(rows, None))) for param, rows in groups if params is None or param in params
        ),
        **_made(found, params),
    )


class RowsReader:
    """Reads rows, and keeps those that were read of late, so that small searches find them read."""

    def __init__(self) -> None:
        """Begin with none."""
        self._whole = lru_cache(_KEPT)(decoded)

    def one(self, data: bytes | None) -> Rows:
        """Return a resource's rows."""
        return self._whole(data or NO_ROWS)

    def some(self, count: int, params: Collection[str]) -> Callable[[bytes | None], Rows]:
        """Return what reads the rows of so many resources; of many, only those of these names."""
        return self.one if count <= _FEW else lambda data: decoded(data or NO_ROWS, params)


def _written(rows: Rows) -> dict[str, Any]:
    written: dict[str, Any] = {name: found for name in _KINDS if (found := getattr(rows, name))}
    if rows.sort is not None:
        written["sort"] = rows.sort
    if rows.groups:
        written["groups"] = [(group.param, _written(group.rows)) for group in rows.groups]
    if rows.compartments:
        written["compartments"] = rows.compartments
    return written


def _made(found: dict[str, Any], params: Collection[str] | None) -> dict[str, Any]:
    made = {}
    for name, kind in _KINDS.items():
        lists: Iterable[list[Any]] | None = found.get(name)
        if lists:
            make = kind._make
            made[name] = tuple([make(each) for each in lists if params is None or each[0] in params])
    return made
