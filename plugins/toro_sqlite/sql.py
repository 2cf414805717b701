"""Pieces of SQL with their parameters. Text comes from this package's literals alone; every value is a bound parameter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["Sql", "Value", "any_of", "join"]

Value: TypeAlias = int | str | bytes | None

_NAME = re.compile(r":(\w+)")


class Sql(NamedTuple):
    """Text with `?` for each of `args`. In conditions on a resource, `@rid`, `@sort` and `@at` stand for its columns."""

    text: str
    args: tuple[Value, ...] = ()

    def __add__(self, other: Sql) -> Sql:  # type: ignore[override]
        """Append."""
        return Sql(self.text + other.text, self.args + other.args)

    @classmethod
    def named(cls, text: str, **args: Value) -> Sql:
        """Put the values where their `:names` stand."""
        return cls(_NAME.sub("?", text), tuple(args[name] for name in _NAME.findall(text)))

    def on(self, rid: str, sort: str) -> Sql:
        """Let the condition speak of these columns."""
        return Sql(self.text.replace("@rid", rid).replace("@sort", sort).replace("@at", "r.at"), self.args)


def join(separator: str, parts: Iterable[Sql]) -> Sql:
    """Join with a separator."""
    parts = tuple(parts)
    return Sql(separator.join(part.text for part in parts), tuple(arg for part in parts for arg in part.args))


def any_of(conditions: Sequence[Sql]) -> Sql:
    """Join with OR as a balanced tree: SQLite bounds the depth of an expression."""
    if not conditions:
        return Sql("0")
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return Sql("(") + any_of(conditions[:half]) + Sql(" OR ") + any_of(conditions[half:]) + Sql(")")
