"""Rows as PostgreSQL's binary COPY takes them. https://www.postgresql.org/docs/current/sql-copy.html"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final, TypeAlias

from toro_postgres.schema import Connection
from toro_postgres.sql import Row

__all__ = ["copy", "encoded"]

_Encode: TypeAlias = Callable[[Sequence[Any]], Iterable[Iterable[bytes]]]

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TRAILER: Final = struct.pack(">h", -1)
_LENGTH: Final = struct.Struct(">i").pack
_NULL: Final = _LENGTH(-1)
_CHUNK: Final = 1_000
"""Rows encoded before others have their turn."""


async def copy(connection: Connection, table: str, columns: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Copy rows into the columns of a table, each with its type."""
    names = ", ".join(columns)
    statement = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"
    async with connection.cursor().copy(statement.encode()) as into:
        for piece in encoded(tuple(columns.values()), rows):
            await into.write(piece)


def encoded(types: Sequence[str], rows: Sequence[Row]) -> Iterator[bytes]:
    """Encode rows of these types, some at a time."""
    yield _SIGNATURE
    start = repeat(struct.pack(">h", len(types)))
    for first in range(0, len(rows), _CHUNK):
        columns = zip(*rows[first : first + _CHUNK], strict=True)
        # Column by column, so that no row is gone through in Python.
        parts = chain.from_iterable(_column(type, values) for type, values in zip(types, columns, strict=True))
        yield b"".join(chain.from_iterable(zip(start, *parts)))  # noqa: B905 - what is repeated has no end
    yield _TRAILER


def _column(type: str, values: tuple[Any, ...]) -> Iterable[Iterable[bytes]]:
    """Encode a column's values, as parts one after the other."""
    encode = _COLUMNS[type]
    if None in values:
        return ([_NULL if value is None else b"".join(next(zip(*encode((value,))))) for value in values],)  # noqa: B905
    return encode(values)


def _numbers(code: str) -> _Encode:
    size = repeat(struct.calcsize(f">{code}"))
    pack = struct.Struct(f">i{code}").pack
    return lambda values: (map(pack, size, values),)


def _bytea(values: Sequence[bytes]) -> Iterable[Iterable[bytes]]:
    return map(_LENGTH, map(len, values)), values


def _uuid(values: Sequence[str]) -> Iterable[Iterable[bytes]]:
    return repeat(_LENGTH(16)), map(bytes.fromhex, values)


def _jsonb(values: Sequence[str]) -> Iterable[Iterable[bytes]]:
    return _bytea([b"\x01" + value.encode() for value in values])


def _array(oid: int, encode: _Encode) -> _Encode:
    """Encode lists without nulls: dimensions, flags and the elements' type; how many, counted from which index on; the elements."""
    empty = struct.pack(">iiii", 12, 0, 0, oid)
    start = struct.Struct(">iiiiii").pack

    def array(values: Sequence[Any]) -> bytes:
        if not values:
            return empty
        elements = b"".join(chain.from_iterable(zip(*encode(values))))  # noqa: B905 - what is repeated has no end
        return start(20 + len(elements), 1, 0, oid, len(values), 1) + elements

    return lambda lists: (map(array, lists),)


_COLUMNS: Final[dict[str, _Encode]] = {
    "bigint": _numbers("q"),
    "integer": _numbers("i"),
    "smallint": _numbers("h"),
    "boolean": _numbers("?"),
    "float8": _numbers("d"),
    "uuid": _uuid,
    "bytea": _bytea,
    "jsonb": _jsonb,
    "integer[]": _array(23, _numbers("i")),
    "uuid[]": _array(2950, _uuid),
    "bytea[]": _array(17, _bytea),
}
