"""Which resources a criterion may hold for, by the postings, and for which of them it does, by the reference evaluator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, TypeAlias

from toro_core.search.evaluate import matches
from toro_core.search.plan import (
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Has,
    Ids,
    LastUpdated,
    Not,
    Number,
    Period,
    Present,
    Quantity,
    Reference,
    Text,
    Token,
    Uri,
)
from toro_core.storage import Rows
from toro_ndjson.catalog import Catalog
from toro_ndjson.rows import RowsReader
from toro_ndjson.versions import Head

__all__ = ["EVERYTHING", "Heads", "filtered", "has_joins", "narrowed", "params", "questions", "reading"]

EVERYTHING: Final = AllOf(())
_KIND_OF: Final[dict[type, str]] = {
    Token: "tokens",
    Text: "strings",
    Period: "dates",
    Reference: "references",
    Uri: "uris",
    Number: "numbers",
    Quantity: "quantities",
}
"""Which of a resource's rows a criterion looks at."""
Heads: TypeAlias = Collection[Head]


def narrowed(catalog: Catalog, type_: str, criterion: Criterion) -> tuple[Heads | None, Criterion]:
    """Return resources among which are all that the criterion holds for, and what is still to be asked of each.

    None stands for every resource of the type.
    """
    find = catalog.postings.find
    match criterion:
        case AllOf(criteria):
            return _all_of([narrowed(catalog, type_, one) for one in criteria])
        case AnyOf(criteria):
            parts = [narrowed(catalog, type_, one) for one in criteria]
            heads = [each for each, _ in parts if each is not None]
            if len(heads) < len(parts):
                return None, criterion
            certain = all(rest == EVERYTHING for _, rest in parts)
            return set().union(*heads), EVERYTHING if certain else criterion
        case Token(param=param, system=system, code=code) if code is not None:
            return find("token", type_, param, system, code), EVERYTHING
        case Reference(param=param, type=target, id=id_, version=version):
            return find("reference", type_, param, target, id_), criterion if version else EVERYTHING
        case Compartment(id=id_):
            return find("compartment", type_, "", "", id_), EVERYTHING
        case Ids(ids=ids):
            known = catalog.heads(type_)
            return {known[id_] for id_ in ids if id_ in known}, EVERYTHING
        case _:
            return None, criterion


def _all_of(parts: Sequence[tuple[Heads | None, Criterion]]) -> tuple[Heads | None, Criterion]:
    heads = sorted((each for each, _ in parts if each is not None), key=len)
    rest = tuple(rest for _, rest in parts if rest != EVERYTHING)
    left = rest[0] if len(rest) == 1 else AllOf(rest)
    if len(heads) < 2:
        return heads[0] if heads else None, left
    return set(heads[0]).intersection(*heads[1:]), left


def filtered(rows: RowsReader, criterion: Criterion, heads: Collection[Head]) -> list[Head]:
    """Return those for which a criterion without Chain and Has holds."""
    if criterion == EVERYTHING:
        return list(heads)
    read = rows.some(len(heads), params(criterion), frozenset(_kinds(criterion)))
    return [head for head in heads if matches(criterion, head.version.key, head.version.at, read(head.rows))]


def reading(rows: RowsReader, criterion: Criterion) -> Callable[[bytes | None], Rows]:
    """Return what reads of many resources the rows that a criterion looks at."""
    return rows.asked(params(criterion), frozenset(_kinds(criterion)))


def questions(criterion: Criterion) -> int:
    """Count what a resource may be asked."""
    return sum(1 for _ in _params(criterion)) or 1


def params(criterion: Criterion) -> frozenset[str]:
    """Name the rows that the criterion looks at."""
    return frozenset(_params(criterion))


def _params(criterion: Criterion) -> Iterable[str]:
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            for one in criteria:
                yield from _params(one)
        case Not(inner):
            yield from _params(inner)
        case Ids() | LastUpdated() | Compartment():
            pass
        case Composite(param=param):
            yield param
        case _:
            yield criterion.param


def _kinds(criterion: Criterion) -> Iterable[str]:
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            for one in criteria:
                yield from _kinds(one)
        case Not(inner):
            yield from _kinds(inner)
        case Present():
            yield from (*_KIND_OF.values(), "groups")
        case Composite():
            yield "groups"
        case Compartment():
            yield "compartments"
        case _ if type(criterion) in _KIND_OF:
            yield _KIND_OF[type(criterion)]


def has_joins(criterion: Criterion) -> bool:
    """Say whether there is a Chain or Has in it."""
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            return any(map(has_joins, criteria))
        case Not(inner):
            return has_joins(inner)
        case _:
            return isinstance(criterion, Chain | Has)
