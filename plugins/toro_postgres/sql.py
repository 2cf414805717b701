"""Pieces of SQL with their parameters. Text comes from this package's literals alone; every value is a bound parameter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from toro_core.errors import TooCostly
from toro_postgres.schema import Connection

__all__ = ["APART", "FALSE", "MOST_ARGS", "TRUE", "Row", "Sql", "all_of", "any_of", "join", "rows"]

Row: TypeAlias = tuple[Any, ...]

MOST_ARGS = 32_000
"""Values a statement may have; PostgreSQL takes 65,535."""
_COLUMN = re.compile(r"@(\w+)")
_ANYWHERE = ("place", "rid", "sort")
"""Columns that postings have as well."""


class Sql(NamedTuple):
    """Text with `%s` for each of `args`. In conditions on a resource, `@rid`, `@sort`, `@at` stand for its columns."""

    text: str
    args: Row = ()

    def __add__(self, other: Sql) -> Sql:  # type: ignore[override]
        """Append."""
        return Sql(self.text + other.text, self.args + other.args)

    def on(self, key: str, row: str) -> Sql:
        """Let the condition speak of a resource: `key` has its place, rid and sort, `row` is its row."""
        return Sql(
            _COLUMN.sub(lambda found: f"{key if found[1] in _ANYWHERE else row}.{found[1]}", self.text), self.args
        )

    @property
    def needs_row(self) -> bool:
        """Tell whether the condition speaks of what only the resource's row has."""
        return any(name not in _ANYWHERE for name in _COLUMN.findall(self.text))


APART = " OFFSET 0"
"""Ends a subquery that is asked for each row. Without it the planner makes a join of it and may begin with its list."""

TRUE, FALSE = Sql("true"), Sql("false")


def join(separator: str, parts: Iterable[Sql]) -> Sql:
    """Join with a separator."""
    parts = tuple(parts)
    return Sql(separator.join(part.text for part in parts), tuple(arg for part in parts for arg in part.args))


def any_of(conditions: Sequence[Sql]) -> Sql:
    """Join with OR; none of nothing holds."""
    return Sql("(") + join(" OR ", conditions) + Sql(")") if conditions else FALSE


def all_of(conditions: Sequence[Sql]) -> Sql:
    """Join with AND; all of nothing hold."""
    return Sql("(") + join(" AND ", conditions) + Sql(")") if conditions else TRUE


async def rows(connection: Connection, sql: Sql) -> list[Row]:
    """Run a statement. Raises TooCostly where it has more values than PostgreSQL takes."""
    if len(sql.args) > MOST_ARGS:
        raise TooCostly(f"the search has more than {MOST_ARGS} values; ask for fewer alternatives at once")
    # Binary, so that JSON comes as it is kept and not as its hexadecimal digits.
    cursor = connection.cursor(binary=True)
    await cursor.execute(sql.text.encode(), sql.args)
    return await cursor.fetchall()
