"""Strings and uris by a part of them."""

# ruff: noqa: S608 - SQL is put together from this package's literals; every value is a bound parameter

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from toro_core.search.plan import AllOf, AnyOf, Criterion, Text
from toro_sqlite.nodes import NOTHING, Node, listed
from toro_sqlite.postings import Posting
from toro_sqlite.ranges import prefix_end
from toro_sqlite.reader import Reader
from toro_sqlite.sql import Sql

__all__ = ["Many", "many", "text", "texts", "uris_from"]

_MANY = 64
"""Uris beyond which their lists are no longer merged."""
_APART = 16
"""Alternative strings up to which each is a condition of its own: SQLite compares the conditions with each other."""
_VALUE = "json_extract(x.value, '$[{}]')"


class Many(NamedTuple):
    """Alternative strings of one parameter: of each where those that start so begin and end, folded, and what is looked for."""

    param: str
    match: str
    values: list[tuple[str, ...]]


def many(criteria: Sequence[Criterion]) -> tuple[list[Many], Sequence[Criterion]]:
    """Take out of alternatives what are many strings of one parameter."""
    if len(criteria) <= _APART:
        return [], criteria
    taken: dict[tuple[str, str], Many] = {}
    rest: list[Criterion] = []
    for each in _alternatives(criteria):
        wanted = _wanted(each)
        if wanted is None:
            rest.append(each)
            continue
        param, match, *value = wanted
        taken.setdefault((param, match), Many(param, match, [])).values.append(tuple(value))
    return list(taken.values()), rest


def texts(pid: int, wanted: Many) -> Node:
    """Make the criterion that a string is one of many alternatives: all of them are one value of the statement."""
    values = json.dumps(list(dict.fromkeys(wanted.values)))
    starts = f"{{0}}s.folded >= {_VALUE.format(0)} AND {{0}}s.folded < {_VALUE.format(1)}"
    match wanted.match:
        case "starts":
            test = starts.format("+")
        case "contains":
            test = f"instr(s.folded, {_VALUE.format(2)}) > 0"
        case _:
            test = f"s.exact = {_VALUE.format(2)}"
    where = Sql(
        "EXISTS (SELECT 1 FROM string s NOT INDEXED CROSS JOIN json_each(?) x"
        f" WHERE s.rid = @rid AND s.param = ? AND {test})",
        (values, pid),
    )
    listing = Sql(
        "SELECT s.rid AS rid FROM json_each(?) x CROSS JOIN string s INDEXED BY string_folded"
        f" ON s.param = ? AND {starts.format('')}" + ("" if wanted.match == "starts" else f" WHERE {test}"),
        (values, pid),
    )
    return Node(where=where, listing=None if wanted.match == "contains" else listing)


def text(pid: int, wanted: Text) -> Node:
    """Make the criterion that a string matches. No index is by the exact text: the core asks for its start as well."""
    match wanted.match:
        case "starts":
            # Without the sign, SQLite would go through everything that starts so for each resource.
            test, where = _from("+folded", wanted.value), _from("folded", wanted.value)
        case "contains":
            test = where = Sql("instr(folded, ?) > 0", (wanted.value,))
        case "exact":
            test = where = Sql("exact = ?", (wanted.value,))
    exists = Sql("EXISTS (SELECT 1 FROM string NOT INDEXED WHERE rid = @rid AND param = ? AND ", (pid,)) + test
    listing = Sql("SELECT rid FROM string INDEXED BY string_folded WHERE param = ? AND ", (pid,)) + where
    return Node(
        where=exists + Sql(")"),
        listing=None if wanted.match == "exact" else listing,
        slow=wanted.match == "contains",
    )


def uris_from(reader: Reader, pid: int, start: str) -> Node:
    """Make the criterion that a uri starts so."""
    among = _from("v.text", start)
    sql = Sql("SELECT v.uid FROM value v WHERE ") + among + Sql(" LIMIT ?", (_MANY + 1,))
    uids = [row[0] for row in reader.connection.execute(*sql)]
    if not uids:
        return NOTHING
    if len(uids) <= _MANY:
        return listed(reader, tuple(Posting("uri", pid, uid) for uid in uids))
    own = Sql(
        "EXISTS (SELECT 1 FROM json_each(uris(@postings, ?)) x CROSS JOIN value v ON v.uid = x.value WHERE ", (pid,)
    )
    listing = Sql("SELECT u.rid FROM value v CROSS JOIN uri u ON u.param = ? AND u.value = v.uid WHERE ", (pid,))
    return Node(where=own + among + Sql(")"), listing=listing + among, slow=True)


def _from(column: str, start: str) -> Sql:
    end = prefix_end(start)
    above = Sql(f"{column} >= ?", (start,))
    return above if end is None else above + Sql(f" AND {column} < ?", (end,))


def _alternatives(criteria: Iterable[Criterion]) -> Iterable[Criterion]:
    for each in criteria:
        if isinstance(each, AnyOf):
            yield from _alternatives(each.criteria)
        else:
            yield each


def _wanted(criterion: Criterion) -> tuple[str, str, str, str, str] | None:
    """Return a string's parameter and match, and what `Many` has of it; an exact one comes with how it starts."""
    match criterion:
        case AllOf((Text(match="starts") as start, Text(match="exact") as wanted)) if start.param == wanted.param:
            pass
        case Text(match="starts" | "contains"):
            start = wanted = criterion
        case _:
            return None
    end = prefix_end(start.value)
    return None if end is None else (wanted.param, wanted.match, start.value, end, wanted.value)
