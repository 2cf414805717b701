"""Groups of rows, as kept beside a resource: rows that the resource has itself are only pointed at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from toro_core.search.evaluate import matches
from toro_core.search.plan import Criterion
from toro_core.storage import (
    DateRow,
    GroupRow,
    Key,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    StringRow,
    TokenRow,
    UriRow,
)
from toro_sqlite.blobs import Blob, Group, Inline
from toro_sqlite.names import Names
from toro_sqlite.new_names import NewNames

__all__ = ["any_group_matches", "groups"]

_TOKEN, _REFERENCE, _URI, _AMOUNT, _DATE, _STRING = range(6)
_NOBODY = Key("", "")

_Entry: TypeAlias = tuple[Any, ...]
"""One of the kinds above, then what the row is made of, in numbers."""


def groups(names: NewNames, tid: int, blob: Blob, rows: Iterable[GroupRow]) -> list[Group]:
    """Write groups of a resource of this type, whose own rows the blob has."""
    places = {entry: place for place, entry in enumerate(_own(blob))}
    found: list[Group] = []
    for group in rows:
        pid = names.make_param(tid, group.param)
        names.note_grouped(pid)
        written: list[int | Inline] = [places.get(entry, list(entry)) for entry in _written(names, tid, group.rows)]
        found.append((pid, written))
    return found


def any_group_matches(names: Names, blob: Blob, pid: int, criteria: Sequence[Criterion]) -> bool:
    """Tell whether one group of the parameter satisfies every criterion."""
    candidates = [entries for found, entries in blob.groups if found == pid]
    own = list(_own(blob)) if candidates else []
    for entries in candidates:
        rows = _read(names, [own[entry] if isinstance(entry, int) else tuple(entry) for entry in entries])
        if all(matches(one, _NOBODY, 0, rows) for one in criteria):
            return True
    return False


def _own(blob: Blob) -> Iterator[_Entry]:
    for kind, rows in (
        (_TOKEN, blob.tokens),
        (_REFERENCE, blob.references),
        (_URI, blob.uris),
        (_AMOUNT, blob.amounts),
    ):
        for row in rows:
            yield (kind, *row)


def _written(names: NewNames, tid: int, rows: Rows) -> Iterator[_Entry]:
    param = names.make_param
    for token in rows.tokens:
        yield _TOKEN, param(tid, token.param), token.code, names.make_value(token.system)
    for reference in rows.references:
        target = names.make_resource(names.make_type(reference.type), reference.id)
        yield _REFERENCE, param(tid, reference.param), target, reference.version
    for uri in rows.uris:
        yield _URI, param(tid, uri.param), names.make_value(uri.value)
    for number in rows.numbers:
        yield (_AMOUNT, *_amount(names, tid, number))
    for quantity in rows.quantities:
        yield (_AMOUNT, *_amount(names, tid, quantity))
    for date in rows.dates:
        yield _DATE, param(tid, date.param), date.low, date.high
    for string in rows.strings:
        yield _STRING, param(tid, string.param), string.folded, string.exact


def _amount(names: NewNames, tid: int, row: NumberRow | QuantityRow) -> tuple[int, int, float, float | None]:
    pid, high = names.make_param(tid, row.param), None if row.high == row.low else row.high
    unit = 0 if isinstance(row, NumberRow) else names.make_unit(names.make_value(row.system), row.code)
    return pid, unit, row.low, high


def _read(names: Names, entries: Iterable[_Entry]) -> Rows:
    found: tuple[list[Any], ...] = tuple([] for _ in range(7))
    tokens, references, uris, numbers, quantities, dates, strings = found
    for kind, pid, *values in entries:
        param = names.code(pid)
        match kind, values:
            case 0, [code, system]:
                tokens.append(TokenRow(param, names.text(system), code))
            case 1, [target, version]:
                type_, _, id_ = names.target(target).partition("/")
                references.append(ReferenceRow(param, type_, id_, version))
            case 2, [value]:
                uris.append(UriRow(param, names.text(value)))
            case 3, [0, low, high]:
                numbers.append(NumberRow(param, low, low if high is None else high))
            case 3, [unit, low, high]:
                quantities.append(QuantityRow(param, *names.unit_name(unit), low, low if high is None else high))
            case 4, [low, high]:
                dates.append(DateRow(param, low, high))
            case 5, [folded, exact]:
                strings.append(StringRow(param, folded, exact))
    return Rows(
        tokens=tuple(tokens),
        references=tuple(references),
        uris=tuple(uris),
        numbers=tuple(numbers),
        quantities=tuple(quantities),
        dates=tuple(dates),
        strings=tuple(strings),
    )
