"""The values that the current resources of a type have under one name, in order: dates, numbers, quantities, texts, uris."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias, assert_never

from toro_core.search.evaluate import compares, number_compares
from toro_core.search.plan import Number, Period, Quantity, Text, Uri
from toro_ndjson.bounds import after, bounds
from toro_ndjson.ordered import Entry, Ordered
from toro_ndjson.versions import Head

__all__ = ["USUAL", "VALUED", "Column", "ColumnName", "Valued", "column_name"]

Valued: TypeAlias = Period | Number | Quantity | Text | Uri
VALUED: Final = (Period, Number, Quantity, Text, Uri)
_KINDS: Final[dict[type, str]] = {
    Period: "dates",
    Number: "numbers",
    Quantity: "quantities",
    Text: "strings",
    Uri: "uris",
}
_LAST: Final = "\U0010ffff"
USUAL: Final = 1 << 42
"""Microseconds, some fifty days, up to which the interval that begins with a resource's own sort value is usual, not odd."""
_MOST_ODD: Final = 250
_ENDLESS: Final = 1_024


class ColumnName(NamedTuple):
    """Rows of a kind, as `Rows` has them, and of a name."""

    kind: str
    param: str


def column_name(criterion: Valued) -> ColumnName:
    """Return which column a criterion asks."""
    return ColumnName(_KINDS[type(criterion)], criterion.param)


class Column:
    """Entries are (value, id, the rest of the row, resource); those of about the same width, and of a unit, are in order.

    So all whose high end lies beyond a value lie from that value, less the width, on.
    """

    def __init__(self, name: ColumnName, heads: Iterable[tuple[Head, Iterable[list[Any]]]]) -> None:
        """Take the rows, as lists, of the resources that have some."""
        self.name = name
        self._entries: dict[Head, Entry | list[Entry]] = {}
        """Of nearly all resources it is one."""
        self.odd: set[Head] | None = set()
        """Resources whose own sort value is not this one alone, or about as long; None where there are many."""
        groups: dict[Any, list[Entry]] = {}
        for head, rows in heads:
            for group, entry in self._enter(head, rows):
                groups.setdefault(group, []).append(entry)
        self._groups = {group: Ordered(entries) for group, entries in groups.items()}

    def add(self, head: Head, rows: Mapping[str, Any]) -> None:
        """Enter a resource by its rows, lists of lists."""
        kind, param = self.name
        for group, entry in self._enter(head, [row for row in rows.get(kind, ()) if row[0] == param]):
            if group not in self._groups:
                self._groups[group] = Ordered()
            self._groups[group].add(entry)

    def remove(self, head: Head) -> None:
        """Take out what `add` entered."""
        found = self._entries.pop(head, [])
        for entry in found if isinstance(found, list) else [found]:
            group = _group(self.name.kind, entry)
            self._groups[group].remove(entry)
            if not self._groups[group]:
                del self._groups[group]
        if self.odd is not None:
            self.odd.discard(head)

    def test(self, criterion: Valued) -> Callable[[Head], bool]:
        """Return what says of a resource whether a criterion holds for it."""
        judge, entries = _judge(criterion), self._entries

        def holds(head: Head) -> bool:
            found = entries.get(head)
            if found is None:
                return False
            return any(map(judge, found)) if isinstance(found, list) else judge(found)

        return holds

    @property
    def usual(self) -> int:
        """Return how wide the intervals are at most that are not odd."""
        exponents = [group[2] for group in self._groups]
        return 1 << max((each for each in exponents if 1 << each <= 2 * USUAL), default=0)

    def size(self, criterion: Valued) -> int | None:
        """Return about how many there are for which a criterion holds, None where they are not found by order."""
        count = 0
        for ordered, limits in self._parts(criterion):
            if limits is None:
                return None
            low, high = limits
            count += (len(ordered) if high is None else ordered.rank(high)) - (0 if low is None else ordered.rank(low))
        return count

    def heads(self, criterion: Valued) -> Iterator[Head]:
        """Yield as many, among which are all for which it holds, some more than once."""
        for ordered, limits in self._parts(criterion):
            yield from map(itemgetter(3), ordered.between(*(limits or (None, None))))

    def _parts(self, criterion: Valued) -> Iterator[tuple[Ordered, tuple[Entry | None, Entry | None] | None]]:
        for group, ordered in self._groups.items():
            match criterion:
                case Text(value=value, match="starts") | Uri(value=value, match="starts"):
                    beyond = after(value)
                    yield ordered, ((value,), None if beyond is None else (beyond,))
                case Text():
                    yield ordered, None
                case Uri(value=value):
                    yield ordered, ((value,), (value + "\0",))
                case _:
                    system, code, exponent = group
                    if isinstance(criterion, Quantity) and (
                        system != criterion.system or criterion.code not in {None, code}
                    ):
                        continue
                    # Numbers are compared with the lower bound, but for what lies within or about.
                    point = not isinstance(criterion, Period) and criterion.prefix not in {"eq", "ap"}
                    high = criterion.low if point else criterion.high
                    limits = bounds(criterion.prefix, criterion.low, high, _width(self.name.kind, exponent))
                    # An entry that begins with the value itself comes before the longer tuple.
                    found = limits and (
                        None if limits[0] is None else (limits[0],),
                        None if limits[1] is None else (limits[1], _LAST),
                    )
                    yield ordered, found

    def _enter(self, head: Head, rows: Iterable[list[Any]]) -> Iterator[tuple[Any, Entry]]:
        kind, id_ = self.name.kind, head.version.key.id
        entries = list({_entry(kind, id_, row, head): None for row in rows})
        if not entries:
            return
        self._entries[head] = entries if len(entries) > 1 else entries[0]
        if kind == "dates" and self.odd is not None:
            low, _, high, _ = entries[0]
            if len(entries) > 1 or low != head.value or high - low > USUAL:
                self.odd.add(head)
                if len(self.odd) > _MOST_ODD:
                    self.odd = None
        for entry in entries:
            yield _group(kind, entry), entry


def _entry(kind: str, id_: str, row: list[Any], head: Head) -> Entry:
    if kind == "quantities":
        _, system, code, low, high = row
        return low, id_, (high, system, code), head
    if kind == "uris":
        return row[1], id_, "", head
    return row[1], id_, row[2], head


def _group(kind: str, entry: Entry) -> Any:
    match kind:
        case "dates":
            return "", "", (entry[2] - entry[0]).bit_length()
        case "numbers":
            return "", "", _exponent(entry[0], entry[2])
        case "quantities":
            high, system, code = entry[2]
            return system, code, _exponent(entry[0], high)
        case _:
            return None


def _exponent(low: float, high: float) -> int | None:
    if low == high:
        return None
    width = high - low
    return _ENDLESS if math.isinf(width) else math.frexp(width)[1]


def _width(kind: str, exponent: int | None) -> float:
    if exponent is None:
        return 0
    if kind == "dates":
        return 1 << exponent
    return math.inf if exponent == _ENDLESS else math.ldexp(1.0, exponent)


def _judge(criterion: Valued) -> Callable[[Entry], bool]:
    match criterion:
        case Period(prefix=prefix, low=low, high=high):
            wanted = low, high
            return lambda entry: compares(prefix, (entry[0], entry[2]), wanted)
        case Number(prefix=prefix, low=low, high=high):
            return lambda entry: number_compares(prefix, (entry[0], entry[2]), (low, high))
        case Quantity(prefix=prefix, low=low, high=high, system=system, code=code):
            return lambda entry: (
                entry[2][1] == system
                and code in {None, entry[2][2]}
                and number_compares(prefix, (entry[0], entry[2][0]), (low, high))
            )
        case Text(value=value, match="starts") | Uri(value=value, match="starts"):
            return lambda entry: bool(entry[0].startswith(value))
        case Text(value=value, match="contains"):
            return lambda entry: value in entry[0]
        case Text(value=value):
            return lambda entry: bool(entry[2] == value)
        case Uri(value=value):
            return lambda entry: bool(entry[0] == value)
        case _:
            assert_never(criterion)
