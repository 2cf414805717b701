"""Index rows made the plain way, for comparison: expression by expression and value by value, with nothing remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import inf, nextafter
from typing import Any

from toro_core.fhirpath.branches import closure
from toro_core.references import Local
from toro_core.search.dates import InvalidDate, interval, period, timing
from toro_core.search.extract import Extractor
from toro_core.search.numbers import GREATEST, to_float
from toro_core.search.plan import MISSING
from toro_core.search.text import fold
from toro_core.search.ucum import UCUM, canonical
from toro_core.storage import (
    DateRow,
    GroupRow,
    NumberRow,
    OrderRow,
    QuantityRow,
    ReferenceRow,
    Rows,
    StringRow,
    TokenRow,
    UriRow,
)

__all__ = ["KINDS", "compared", "plain_rows"]

KINDS = {
    "tokens": TokenRow,
    "strings": StringRow,
    "dates": DateRow,
    "references": ReferenceRow,
    "uris": UriRow,
    "numbers": NumberRow,
    "quantities": QuantityRow,
}
"""By member of Rows what it consists of."""


def compared(rows: Rows) -> dict[str, Any]:
    """Return rows in a form that does not say in which order they came."""
    return {
        "sort": rows.sort,
        **{kind: sorted(getattr(rows, kind)) for kind in (*KINDS, "orders", "compartments")},
        "groups": [
            (group.param, {kind: sorted(set(getattr(group.rows, kind))) for kind in KINDS}) for group in rows.groups
        ],
    }


def plain_rows(extractor: Extractor, resource: dict[str, Any]) -> Rows:
    """Return what `extractor.rows` should."""
    resource_type = resource["resourceType"]
    layout = extractor.layout(resource_type)
    found = list(_rows(extractor, resource_type, resource, (), None))
    groups = [
        GroupRow(name, _kinds(rows))
        for path, (name, members) in layout.groups.items()
        for value in closure_of(path)([resource])
        if (rows := list(_rows(extractor, resource_type, value, path, members)))
        and len({row.param for row in rows}) > 1
    ]
    key = layout.searchables[layout.key].parts if layout.key else ()
    lows = [row.low for row in found if isinstance(row, DateRow) and row.param in {part.param for part in key}]
    inside = {
        part.param
        for code in extractor.definitions.compartment(resource_type)
        if code in layout.searchables
        for part in layout.searchables[code].parts
    }
    patients = [
        row.id for row in found if isinstance(row, ReferenceRow) and row.type == "Patient" and row.param in inside
    ]
    if resource_type == "Patient" and "id" in resource:
        patients.append(resource["id"])
    return _kinds(
        found,
        sort=min([MISSING, *lows]) if layout.key else None,
        groups=tuple(groups),
        orders=tuple(_orders(layout.orders, found)),
        compartments=tuple(dict.fromkeys(patients)),
    )


def closure_of(path: Sequence[str]) -> Callable[[list[Any]], list[Any]]:
    """Return what finds the values at JSON members."""

    def values(items: list[Any]) -> list[Any]:
        for member in path:
            inner = [item[member] for item in items if item.get(member) is not None]
            items = [one for each in inner for one in (each if isinstance(each, list) else [each]) if one is not None]
        return items

    return values


def _kinds(rows: list[Any], **more: Any) -> Rows:
    of: dict[str, Any] = {
        kind: tuple(each if kind == "quantities" else dict.fromkeys(each))
        for kind, made in KINDS.items()
        for each in [[row for row in rows if isinstance(row, made)]]
    }
    return Rows(**of, **more)


def _rows(extractor: Extractor, resource_type: str, value: Any, path: tuple[str, ...], members: Any) -> Iterator[Any]:
    """Make the rows of a resource, or of the part of it at `path` those of these names."""
    layout = extractor.layout(resource_type)
    for cell in layout.cells:
        if members is not None and cell.name not in members:
            continue
        targets = {
            part.target for one in layout.searchables.values() for part in one.parts if part.param == cell.name
        } - {""}
        for branch in cell.branches:
            if branch.path[: len(path)] == path:
                systems = extractor.systems(branch)
                for each in closure(replace(branch, path=branch.path[len(path) :]))([value]):
                    if each is not None:
                        for row in _of(cell.name, cell.type, branch.type, each, extractor, systems, targets):
                            if members is None or row.param in members:
                                yield row


def _of(
    param: str, search_type: str, data_type: str, value: Any, extractor: Extractor, systems: Any, targets: set[str]
) -> Iterator[Any]:
    nothing = TokenRow(param, "", "")
    match search_type, data_type:
        case "reference", "Reference":
            yield from _reference(param, value, extractor, targets)
        case ("reference", _) | ("uri", "canonical"):
            if value:
                yield UriRow(param, value)
                if "|" in value:
                    yield UriRow(param, value.partition("|")[0])
        case "uri", _:
            if value:
                yield UriRow(param, value)
        case "token", "CodeableConcept":
            codings = value.get("coding", ())
            coded = [coding for coding in codings if coding.get("system") or coding.get("code")]
            yield from [_token(param, coding) for coding in coded] or [TokenRow(param, "", "")]
            texts = [coding["display"] for coding in codings if "display" in coding] + [value.get("text", "")]
            yield from (UriRow(f"{param}:text", fold(text)) for text in texts if fold(text))
        case "token", "Coding":
            yield _token(param, value)
            if fold(value.get("display", "")):
                yield UriRow(f"{param}:text", fold(value["display"]))
        case "token", "ContactPoint":
            yield _token(param, value, "value")
        case "token", "Identifier":
            yield _token(param, value, "value")
            kind, code = value.get("type", {}), value.get("value", "")
            for coding in kind.get("coding", ()) if code else ():
                yield TokenRow(f"{param}:of-type", coding.get("system", ""), f"{coding.get('code', '')}|{code}")
            if fold(kind.get("text", "")):
                yield UriRow(f"{param}:text", fold(kind["text"]))
        case "token", "boolean":
            yield TokenRow(param, "", "true" if value else "false")
        case "token", _:
            yield TokenRow(param, systems.get(value, "") if data_type == "code" else "", value)
        case "string", _:
            if value:
                yield StringRow(param, fold(value), value) if fold(value) else nothing
        case "date", _:
            span = _span(data_type, value)
            if span:
                yield DateRow(param, *span)
            elif data_type in {"Period", "Timing"}:
                yield nothing
        case "number", "Range":
            low, high = ((value.get(end) or {}).get("value") for end in ("low", "high"))
            if low is not None or high is not None:
                least = -GREATEST if low is None else to_float(low)
                yield NumberRow(param, least, GREATEST if high is None else to_float(high))
            else:
                yield nothing
        case "number", _:
            yield NumberRow(param, to_float(value), to_float(value))
        case "quantity", _:
            amounts: list[Any] = list(_amounts(param, data_type, value))
            yield from amounts or [nothing]


def _token(param: str, value: Any, member: str = "code") -> TokenRow:
    return TokenRow(param, value.get("system", ""), value.get(member, ""))


def _span(data_type: str, value: Any) -> tuple[int, int] | None:
    if data_type in {"Period", "Timing"}:
        return period(value) if data_type == "Period" else timing(value)
    try:
        return interval(value)
    except InvalidDate:
        return None


def _reference(param: str, value: Any, extractor: Extractor, targets: set[str]) -> Iterator[Any]:
    text = value.get("reference")
    target = extractor.references.parse(text) if text else None
    type_ = (extractor.references.type_of(text) if text else "") or value.get("type", "")
    if isinstance(target, Local):
        yield ReferenceRow(param, *target)
    else:
        yield UriRow(param, target) if target else TokenRow(param, "", "")
        if type_ in targets:
            yield TokenRow(f"{param}:{type_}", "", "")
    if value.get("identifier"):
        yield _token(f"{param}:identifier", value["identifier"], "value")
        if type_ in targets:
            yield _token(f"{param}:identifier:{type_}", value["identifier"], "value")


def _amounts(param: str, data_type: str, value: Any) -> Iterator[QuantityRow]:
    match data_type:
        case "Money":
            currency = value.get("currency", "")
            for system in ["", "urn:iso:std:iso:4217"] if currency else [""]:
                if "value" in value:
                    yield QuantityRow(param, system, currency, to_float(value["value"]), to_float(value["value"]))
        case "Range":
            yield from _range(param, value)
        case _:
            yield from _quantity(param, value)


def _quantity(param: str, value: Any) -> Iterator[QuantityRow]:
    number = value.get("value")
    if number is None:
        return
    system, code, text = (value.get(member, "") for member in ("system", "code", "unit"))
    low, high = _bounds(value.get("comparator"), to_float(number))
    for name in dict.fromkeys([code or text, text or code]):
        yield QuantityRow(param, "", name, low, high)
    unit = canonical(code) if system == UCUM and code else None
    if unit is None and system:
        yield QuantityRow(param, system, code, low, high)
    elif unit is not None and (isinstance(number, int) or abs(number.adjusted()) < 300):
        low, high = _bounds(value.get("comparator"), to_float((Fraction(number) + unit.offset) * unit.factor))
        yield QuantityRow(param, system, unit.code, low, high)


def _bounds(comparator: str | None, number: float) -> tuple[float, float]:
    lows = {"<": -GREATEST, "<=": -GREATEST, ">": nextafter(number, inf)}
    highs = {"<": nextafter(number, -inf), ">": GREATEST, ">=": GREATEST}
    return lows.get(comparator or "", number), highs.get(comparator or "", number)


def _range(param: str, value: Any) -> Iterator[QuantityRow]:
    sides = [list(_quantity(param, value.get(end) or {})) for end in ("low", "high")]
    for system, code in dict.fromkeys((row.system, row.code) for side in sides for row in side):
        low, high = ([row for row in side if (row.system, row.code) == (system, code)] for side in sides)
        if (low or not sides[0]) and (high or not sides[1]):
            yield QuantityRow(param, system, code, low[0].low if low else -GREATEST, high[0].high if high else GREATEST)


def _orders(orders: Any, rows: list[Any]) -> Iterator[OrderRow]:
    systematic = {row.param for row in rows if isinstance(row, QuantityRow) and row.system}
    for order, names in orders.items():
        values = [value for row in rows if row.param in names for value in _sorted_by(row, systematic)]
        if values:
            yield OrderRow(order, min(values), max(values))


def _sorted_by(row: Any, systematic: set[str]) -> list[Any]:
    match row:
        case TokenRow():
            text = row.code
        case ReferenceRow():
            return [f"{row.type}/{row.id}"]
        case StringRow():
            text = row.folded
        case UriRow():
            text = row.value
        case QuantityRow():
            return [row.low] if row.system or row.param not in systematic else []
        case _:
            return [row.low]
    return [text[:64]] if text else []
