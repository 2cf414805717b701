"""Lists of resources under one key of a posting table, in the order of their sort values."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias, overload

from toro_sqlite.blobs import Blob
from toro_sqlite.sql import Sql, any_of, join

__all__ = ["ITEM", "Posting", "Referring", "alike", "items", "posted", "postings_rids", "postings_where"]

_Table: TypeAlias = Literal["token", "reference", "uri"]

ITEM: dict[_Table, str] = {"token": "code", "reference": "target", "uri": "value"}
_CHUNK = 500


class Posting(NamedTuple):
    """One list: `item` is a token's code, a reference's target or a uri; `system` is a token's."""

    table: _Table
    pid: int
    item: int | str
    system: int = -1

    def on(self, alias: str) -> Sql:
        """Select the list's rows of a table that is called so in a statement."""
        if self.table == "token":
            text = f"{alias}.param = ? AND {alias}.code = ? AND {alias}.system = ?"
            return Sql(text, (self.pid, self.item, self.system))
        return Sql(f"{alias}.param = ? AND {alias}.{ITEM[self.table]} = ?", (self.pid, self.item))

    @property
    def where(self) -> Sql:
        """Select the list's rows where no other table has such columns."""
        if self.table == "token":
            return Sql("param = ? AND code = ? AND system = ?", (self.pid, self.item, self.system))
        return Sql(f"param = ? AND {ITEM[self.table]} = ?", (self.pid, self.item))


class Referring(Sequence[Posting]):
    """The lists of what refers by one parameter to each of many resources; a list is made when it is looked at alone."""

    __slots__ = ("items", "pid", "targets")

    def __init__(self, pid: int, targets: Sequence[int]) -> None:
        """Take the parameter and the resources."""
        self.pid = pid
        self.targets = targets
        self.items = json.dumps(targets)

    def __len__(self) -> int:
        """Count the lists."""
        return len(self.targets)

    @overload
    def __getitem__(self, place: int) -> Posting: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Posting]: ...
    def __getitem__(self, place: int | slice) -> Posting | Sequence[Posting]:
        """Make one list, or take some."""
        if isinstance(place, slice):
            return Referring(self.pid, self.targets[place])
        return Posting("reference", self.pid, self.targets[place])


def alike(postings: Sequence[Posting]) -> bool:
    """Tell whether the lists are of one parameter and of numbers, so that a statement can go through all of them."""
    if isinstance(postings, Referring):
        return True
    first, *rest = postings
    return first.table != "token" and all((each.table, each.pid) == (first.table, first.pid) for each in rest)


def items(postings: Sequence[Posting]) -> str:
    """Return, as JSON, what tells apart lists that are alike."""
    # Numbers of this package; one parameter, however many they are.
    return postings.items if isinstance(postings, Referring) else json.dumps([each.item for each in postings])


def posted(blob: Blob) -> Iterator[Posting]:
    """Name the lists that a resource is in."""
    for pid, code, system in blob.tokens:
        yield Posting("token", pid, code, system)
    for pid, target, _ in blob.references:
        yield Posting("reference", pid, target)
    for pid, value in blob.uris:
        yield Posting("uri", pid, value)


def postings_where(postings: Sequence[Posting]) -> Sql:
    """Test whether a resource is in one of the lists: an exact key each."""
    return any_of(
        [
            Sql(f"EXISTS (SELECT 1 FROM {table} p WHERE ") + where + Sql(" AND p.sort = @sort AND p.rid = @rid)")
            for table, where in _groups(postings)
        ]
    )


def postings_rids(postings: Sequence[Posting]) -> Sql:
    """List the resources in the lists."""
    return join(" UNION ALL ", (Sql(f"SELECT rid FROM {table} WHERE ") + where for table, where in _groups(postings)))


def _groups(postings: Sequence[Posting]) -> Iterator[tuple[_Table, Sql]]:
    """Take lists together that differ in their item alone."""
    if len(postings) == 1:
        yield postings[0].table, postings[0].where
        return
    if isinstance(postings, Referring):
        yield "reference", _among("reference", postings.pid, postings.items)
        return
    ordered = sorted(postings, key=lambda each: each[:2] + each[3:])
    for (table, pid, system), group in groupby(ordered, key=lambda each: (each.table, each.pid, each.system)):
        lists = tuple(group)
        if table != "token":
            yield table, _among(table, pid, items(lists))
            continue
        codes = [posting.item for posting in lists]
        for start in range(0, len(codes), _CHUNK):
            chunk = codes[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            yield table, Sql(f"param = ? AND code IN ({marks}) AND system = ?", (pid, *chunk, system))


def _among(table: _Table, pid: int, items: str) -> Sql:
    return Sql(f"param = ? AND {ITEM[table]} IN (SELECT value FROM json_each(?))", (pid, items))
