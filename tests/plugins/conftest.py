"""Empty schemas of a PostgreSQL server for the tests of its plugin.

And what a storage that speaks SQL is asked to see whether anything becomes text of a statement.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import pytest

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
    SearchPlan,
    SortKey,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    Explains,
    GroupRow,
    Indexed,
    Key,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    Storage,
    StringRow,
    TokenRow,
    UriRow,
)
from toro_core.testing.making import TYPE, delete, walk, write

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def new_postgres(postgres: str) -> Iterator[Callable[[], str]]:
    """A function that makes an empty schema of its own and returns the storage URL of it."""
    names: list[str] = []

    def new() -> str:
        names.append(f"toro_{secrets.token_hex(6)}")
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {names[-1]}")
        return f"{postgres}{'&' if '?' in postgres else '?'}options=-csearch_path%3D{names[-1]}"

    yield new
    if not os.environ.get("TORO_TEST_POSTGRES"):
        return  # the whole server goes
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


VILE = (
    "x' OR 1=1; --",
    "NULL",
    "?1",
    ":low",
    "@rid",
    "@sort",
    "%_",
    "rid) UNION SELECT json FROM version --",
    "%s",
    "$1",
    "%(x)s",
)


@pytest.fixture
def ask_vilely() -> Callable[..., Awaitable[Sequence[str]]]:
    """Return what writes and asks in every way with words (all, or those given) that would show in a statement; it returns them."""
    return _ask_vilely


async def _ask_vilely(storage: Storage, words: Sequence[str] = VILE) -> Sequence[str]:
    for vile in words:
        rows = Rows(
            sort=1,
            tokens=(TokenRow("p", vile, vile), TokenRow(vile, vile, vile)),
            strings=(StringRow("p", vile, vile),),
            dates=(DateRow(vile, 5, 6),),
            references=(ReferenceRow("p", TYPE, vile, vile), ReferenceRow("p", vile, vile, "")),
            uris=(UriRow("p", vile),),
            numbers=(NumberRow(vile, 0, 1),),
            quantities=(QuantityRow("p", vile, vile, 0, 1),),
            groups=(GroupRow("p", Rows(tokens=(TokenRow(vile, vile, vile),), strings=(StringRow("p", vile, vile),))),),
            orders=(OrderRow(vile, vile, vile), OrderRow("p", 1, 2)),
            compartments=(vile,),
        )
        await storage.commit([write(vile, rows), write("a", rows), write("b", rows, type=vile)])
        await storage.commit([delete("b", type=vile)])
        await storage.reindex([Indexed(Key(TYPE, vile), 1, rows)])
        await storage.put_state(vile, vile.encode())
        await storage.list_state(vile)
        for criterion in _every_kind(vile):
            for sort in ((SortKey(),), (SortKey(param=vile),), (SortKey(param=vile, descending=True), SortKey())):
                plan = SearchPlan(type=TYPE, criterion=criterion, sort=sort, limit=1)
                ids = await walk(storage, plan)
                assert await storage.count(plan) == len(ids)
                assert isinstance(storage, Explains)
                await storage.explain(plan)
    return words


def _every_kind(vile: str) -> Iterable[Criterion]:
    leaves: tuple[Criterion, ...] = (
        Token(param=vile, system=vile, code=vile),
        Token(param="p", system=vile),
        Token(param="p", code=vile),
        Text(param="p", value=vile),
        Text(param="p", value=vile, match="contains"),
        Text(param="p", value=vile, match="exact"),
        Period(param=vile, prefix="ne", low=0, high=1),
        Number(param=vile, prefix="ge", low=0, high=0),
        Quantity(param="p", prefix="ap", low=0, high=9, system=vile, code=vile),
        Quantity(param="p", prefix="ap", low=0, high=9, system=vile),
        Reference(param="p", type=vile, id=vile, version=vile),
        Reference(param="p", id=vile),
        Uri(param="p", value=vile),
        Uri(param="p", value=vile, match="starts"),
        Present(param="p", type=vile),
        Present(param=vile),
        Ids(ids=(vile, vile + "x")),
        LastUpdated(prefix="gt", low=0, high=1),
        Compartment(id=vile),
    )
    yield from leaves
    yield Composite(param="p", criteria=(leaves[0], leaves[3]))
    yield Chain(param="p", type=vile, criterion=leaves[2])
    yield Chain(param="p", type=TYPE, criterion=AllOf((leaves[2], Not(leaves[0]))))
    yield Has(type=TYPE, param="p", criterion=AnyOf(leaves[:3]))
    yield Not(AnyOf(leaves))
    yield AnyOf(tuple(Token(param="p", system=vile, code=f"{vile}{n}") for n in range(100)))
