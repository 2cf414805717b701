"""Write a plan in words that a person can read, and what the storage says of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Final

from toro_core.search.plan import (
    FOREVER,
    NEVER,
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
from toro_core.storage import Explains, Storage

__all__ = ["described", "explained"]

_SHOWN: Final = 10
"""Alternatives that are spelled out."""
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_TEXT: Final = {"starts": "starts with", "contains": "contains", "exact": "is exactly"}


async def explained(plan: SearchPlan, storage: Storage) -> str:
    """Describe a plan; where the storage can say how it executes it, that follows."""
    text = "\n".join(described(plan))
    if isinstance(storage, Explains):
        return f"{text}\n\n{await storage.explain(plan)}"
    return f"{text}\n\nThis storage does not say how it executes a plan."


def described(plan: SearchPlan) -> Iterator[str]:
    """Give the lines that describe a plan."""
    yield f"{plan.type}, {plan.limit} a page, by {', then by '.join(map(_sort, plan.sort))}"
    if plan.criterion == AllOf(()):
        yield "  all of them"
    else:
        yield from _lines(plan.criterion, 1)


def _lines(criterion: Criterion, depth: int) -> Iterator[str]:
    indent = "  " * depth
    match criterion:
        case AllOf(criteria) | AnyOf(criteria):
            which = "all" if isinstance(criterion, AllOf) else "any"
            yield f"{indent}{which} of" if criteria else f"{indent}{'everything' if which == 'all' else 'nothing'}"
            for one in criteria[:_SHOWN]:
                yield from _lines(one, depth + 1)
            if len(criteria) > _SHOWN:
                yield f"{indent}  … {len(criteria) - _SHOWN} more"
        case Not(inner):
            yield f"{indent}not"
            yield from _lines(inner, depth + 1)
        case Chain(param=param, type=type_, criterion=inner):
            yield f"{indent}{param} refers to a {type_} with"
            yield from _lines(inner, depth + 1)
        case Has(type=type_, param=param, criterion=inner):
            yield f"{indent}a {type_} refers here by {param}, with"
            yield from _lines(inner, depth + 1)
        case Composite(param=param, criteria=criteria):
            yield f"{indent}all of, in one group {param}"
            for one in criteria:
                yield from _lines(one, depth + 1)
        case _:
            yield indent + _leaf(criterion)


def _leaf(
    criterion: Token | Text | Period | Number | Quantity | Reference | Uri | Present | Ids | LastUpdated | Compartment,
) -> str:
    match criterion:
        case Token(param=param, system=system, code=code):
            return f"{param} is {'any system' if system is None else repr(system)} | {code if code else 'any code'}"
        case Text(param=param, value=value, match=match):
            return f"{param} {_TEXT[match]} {value!r}"
        case Uri(param=param, value=value, match=match):
            return f"{param} {'starts with' if match == 'starts' else 'is'} {value!r}"
        case Period(param=param, prefix=prefix, low=low, high=high):
            return f"{param} {prefix} [{_moment(low)}, {_moment(high)})"
        case LastUpdated(prefix=prefix, low=low, high=high):
            return f"last updated {prefix} [{_moment(low)}, {_moment(high)})"
        case Number(param=param, prefix=prefix, low=low, high=high):
            return f"{param} {prefix} {_range(low, high)}"
        case Quantity(param=param, prefix=prefix, low=low, high=high, system=system, code=code):
            unit = f"{code or 'any unit'}" + (f" of {system}" if system else "")
            return f"{param} {prefix} {_range(low, high)} {unit}"
        case Reference(param=param, type=type_, id=id_, version=version):
            return f"{param} refers to {type_ or 'any type'}/{id_}" + (f", version {version}" if version else "")
        case Present(param=param, type=type_):
            return f"{param} is there" + (f", a {type_}" if type_ else "")
        case Ids(ids=ids):
            more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            return f"id is {' or '.join(ids[:_SHOWN]) or 'none'}{more}"
        case Compartment(id=id_):
            return f"in the compartment of Patient/{id_}"


def _sort(key: SortKey) -> str:
    what = "its own date, else its last update" if key.param is None else key.param
    return f"{what} {'descending' if key.descending else 'ascending'}"


def _moment(micros: int) -> str:
    if micros in {NEVER, FOREVER}:
        return "…"
    try:
        return (_EPOCH + datetime.timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return str(micros)


def _range(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"[{low:g}, {high:g}]"
