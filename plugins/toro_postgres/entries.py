"""Index rows as the tables keep them, before the resource has a number."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from toro_core.storage import Key, Rows
from toro_postgres.keys import Keys, ordered, text
from toro_postgres.names import COMPARTMENT, Names

__all__ = ["Amount", "Entries", "Entry", "Order", "Posted", "String"]

Posted: TypeAlias = tuple[int, str]
"""A parameter and the digest of a value."""
Order: TypeAlias = tuple[int, bytes, bytes]
"""A parameter, the lowest and the highest value."""
String: TypeAlias = tuple[int, bytes, bytes | None]
"""A parameter, a text as it is compared, and as it is stored; the latter is not there where the text is a uri."""
Amount: TypeAlias = tuple[int, str, str, float, float]
"""A parameter, the digests of unit and system, the lowest and the highest value."""

_CACHED = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a resource is found by, tested for and sorted by."""

    place: int
    self: str
    posted: frozenset[Posted]
    marks: frozenset[str]
    orders: frozenset[Order]
    dates: frozenset[tuple[int, int, int]]
    strings: frozenset[String]
    amounts: frozenset[Amount]
    groups: str


class Entries:
    """Makes them. Its numbers have to be known: `Names.ensure`."""

    def __init__(self, names: Names, keys: Keys) -> None:
        """Use these numbers and digests."""
        self._names = names
        self._keys = keys
        self._digests: dict[tuple[str, ...], str] = {}

    def entry(self, key: Key, rows: Rows) -> Entry:
        """Make a resource's entry."""
        of = self._of
        posted, marks = self._values(key.type, rows)
        for group in rows.groups:
            marks.add(of("present", str(self._pid(key.type, group.param))))
        compartment = self._pid(key.type, COMPARTMENT)
        posted |= {(compartment, of("reference", "Patient", id)) for id in rows.compartments}
        patient = min(rows.compartments, default=None)
        orders: dict[int, Order] = {}
        for param, low, high in rows.orders:
            pid = self._pid(key.type, param)
            orders.setdefault(pid, (pid, ordered(low), ordered(high)))
        return Entry(
            place=self._keys.place(*key) if patient is None else self._keys.place("Patient", patient),
            self=self._keys.reference(key),
            posted=frozenset(posted),
            marks=frozenset(marks),
            orders=frozenset(orders.values()),
            dates=frozenset((self._pid(key.type, row.param), row.low, row.high) for row in rows.dates),
            strings=frozenset(self._strings(key.type, rows)),
            amounts=frozenset(self._amounts(key.type, rows)),
            groups=json.dumps([self._group(key.type, group.param, group.rows) for group in rows.groups]),
        )

    def _values(self, type: str, rows: Rows) -> tuple[set[Posted], set[str]]:
        of, posted, marks = self._of, set[Posted](), set[str]()
        for token in rows.tokens:
            pid = self._pid(type, token.param)
            posted |= {(pid, of("token", token.system, token.code)), (pid, of("code", token.code))}
            marks |= {of("tokens", str(pid)), of("system", str(pid), token.system)}
        for reference in rows.references:
            pid = self._pid(type, reference.param)
            posted.add((pid, of("reference", reference.type, reference.id)))
            marks.add(of("type", str(pid), reference.type))
            marks.add(of("version", str(pid), reference.type, reference.id, reference.version))
        for uri in rows.uris:
            posted.add((self._pid(type, uri.param), of("uri", uri.value)))
        kinds: Iterable[Iterable[tuple[Any, ...]]] = (
            rows.tokens,
            rows.strings,
            rows.dates,
            rows.references,
            rows.uris,
            rows.numbers,
            rows.quantities,
        )
        marks |= {of("present", str(self._pid(type, row[0]))) for kind in kinds for row in kind}
        return posted, marks

    def _strings(self, type: str, rows: Rows) -> Iterable[String]:
        for row in rows.strings:
            yield self._pid(type, row.param), text(row.folded), text(row.exact)
        for uri in rows.uris:
            yield self._pid(type, uri.param), text(uri.value), None

    def _amounts(self, type: str, rows: Rows) -> Iterable[Amount]:
        none = self._of("number")
        for number in rows.numbers:
            yield self._pid(type, number.param), none, none, float(number.low), float(number.high)
        for each in rows.quantities:
            unit, system = self._of("unit", each.system, each.code), self._of("units", each.system)
            yield self._pid(type, each.param), unit, system, float(each.low), float(each.high)

    def _group(self, type: str, param: str, rows: Rows) -> dict[str, Any]:
        posted, marks = self._values(type, rows)
        return {
            "param": self._pid(type, param),
            "vals": [f"{pid}:{value}" for pid, value in posted],
            "marks": list(marks),
            "date": [{"param": self._pid(type, row.param), "low": row.low, "high": row.high} for row in rows.dates],
            "string": [
                {"param": pid, "folded": _bytea(folded), "exact": None if exact is None else _bytea(exact)}
                for pid, folded, exact in self._strings(type, rows)
            ],
            "amount": [
                {"param": pid, "unit": unit, "system": system, "low": low, "high": high}
                for pid, unit, system, low, high in self._amounts(type, rows)
            ],
        }

    def _pid(self, type: str, code: str) -> int:
        found = self._names.param(type, code)
        assert found is not None  # noqa: S101 - the caller has ensured all names
        return found

    def _of(self, *parts: str) -> str:
        """Digest what many resources share."""
        found = self._digests.get(parts)
        if found is None:
            if len(self._digests) >= _CACHED:
                self._digests.clear()
            found = self._digests[parts] = self._keys.of(*parts)
        return found


def _bytea(value: bytes) -> str:
    return f"\\x{value.hex()}"
