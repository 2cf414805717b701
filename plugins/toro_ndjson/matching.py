"""Which resources a criterion may hold for, by the postings, and for which of them it does, by the reference evaluator."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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
    Reference,
    Token,
)
from toro_ndjson.catalog import Catalog
from toro_ndjson.rows import RowsReader
from toro_ndjson.versions import Head

__all__ = ["EVERYTHING", "Heads", "candidates", "filtered", "has_joins", "params", "split"]

EVERYTHING: Final = AllOf(())
Heads: TypeAlias = Collection[Head]


def candidates(catalog: Catalog, type_: str, criterion: Criterion) -> Heads | None:
    """Return resources among which are all that the criterion holds for, None where the postings do not say."""
    match criterion:
        case AllOf(criteria):
            found = [each for one in criteria if (each := candidates(catalog, type_, one)) is not None]
            return min(found, key=len, default=None)
        case AnyOf(criteria):
            parts: list[Heads] = []
            for one in criteria:
                part = candidates(catalog, type_, one)
                if part is None:
                    return None
                parts.append(part)
            return parts[0] if len(parts) == 1 else set().union(*parts)
        case Token(param=param, code=code) if code is not None:
            return catalog.postings.find("token", type_, param, code)
        case Reference(param=param, id=id_):
            return catalog.postings.find("reference", type_, param, id_)
        case Compartment(id=id_):
            return catalog.postings.find("compartment", type_, "", id_)
        case Ids(ids=ids):
            heads = catalog.heads(type_)
            return {heads[id_] for id_ in ids if id_ in heads}
        case _:
            return None


def filtered(rows: RowsReader, criterion: Criterion, heads: Collection[Head]) -> list[Head]:
    """Return those for which a criterion without Chain and Has holds."""
    if criterion == EVERYTHING:
        return list(heads)
    read = rows.some(len(heads), params(criterion))
    return [head for head in heads if matches(criterion, head.version.key, head.version.at, read(head.rows))]


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


def has_joins(criterion: Criterion) -> bool:
    """Say whether there is a Chain or Has in it."""
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            return any(map(has_joins, criteria))
        case Not(inner):
            return has_joins(inner)
        case _:
            return isinstance(criterion, Chain | Has)


def split(criteria: Sequence[Criterion]) -> tuple[AllOf, list[Criterion]]:
    """Return those without joins as one, and the others."""
    simple = AllOf(tuple(one for one in criteria if not has_joins(one)))
    return simple, [one for one in criteria if has_joins(one)]
