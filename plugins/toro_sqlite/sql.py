"""Pieces of SQL with their parameters. Text comes from this package's literals alone; every value is a bound parameter."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from toro_core.errors import TooCostly

__all__ = ["MOST_ARGS", "Sql", "Value", "all_of", "any_of", "execute", "join"]

Value: TypeAlias = int | float | str | bytes | None

MOST_ARGS = 32_000
"""Values a statement may have: every SQLite takes as many."""

_NAME = re.compile(r":(\w+)")
_COLUMN = re.compile(r"@(\w+)")


class Sql(NamedTuple):
    """Text with `?` for each of `args`. In conditions on a resource, `@rid`, `@sort`, `@at`, `@postings` stand for its columns."""

    text: str
    args: tuple[Value, ...] = ()

    def __add__(self, other: Sql) -> Sql:  # type: ignore[override]
        """Append."""
        return Sql(self.text + other.text, self.args + other.args)

    @classmethod
    def named(cls, text: str, **args: Value) -> Sql:
        """Put the values where their `:names` stand."""
        return cls(_NAME.sub("?", text), tuple(args[name] for name in _NAME.findall(text)))

    def on(self, key: str, row: str | None = None) -> Sql:
        """Let the condition speak of a resource: `key` has its rid and sort, `row` is its row where that is joined."""

        def column(found: re.Match[str]) -> str:
            name = found[1]
            if name in ("rid", "sort"):
                return f"{key}.{name}"
            return f"{row}.{name}" if row else f"(SELECT {name} FROM resource WHERE rid = {key}.rid)"  # noqa: S608

        return Sql(_COLUMN.sub(column, self.text), self.args)


def join(separator: str, parts: Iterable[Sql]) -> Sql:
    """Join with a separator."""
    parts = tuple(parts)
    return Sql(separator.join(part.text for part in parts), tuple(arg for part in parts for arg in part.args))


def any_of(conditions: Sequence[Sql]) -> Sql:
    """Join with OR; none of nothing holds."""
    return _tree(" OR ", conditions) if conditions else Sql("0")


def all_of(conditions: Sequence[Sql]) -> Sql:
    """Join with AND; all of nothing hold."""
    return _tree(" AND ", conditions) if conditions else Sql("1")


def execute(connection: sqlite3.Connection, sql: Sql) -> sqlite3.Cursor:
    """Run a statement. Raises TooCostly where it has more values than SQLite takes."""
    if len(sql.args) > MOST_ARGS:
        raise TooCostly(f"the search has more than {MOST_ARGS} values; ask for fewer alternatives at once")
    return connection.execute(sql.text, sql.args)


def _tree(operator: str, conditions: Sequence[Sql]) -> Sql:
    """Nest in a balanced tree, since SQLite bounds the depth of an expression."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return Sql("(") + _tree(operator, conditions[:half]) + Sql(operator) + _tree(operator, conditions[half:]) + Sql(")")
