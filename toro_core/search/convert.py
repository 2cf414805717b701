"""Convert FHIR values to index rows, one converter for each pair of search type and data type.

https://hl7.org/fhir/R4/search.html#table

Past 250 lines because it is one table of small converters, each read beside its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeAlias

from toro_core.references import Local, References
from toro_core.search.dates import InvalidDate, interval, period, timing
from toro_core.search.found import Convert, Found
from toro_core.search.numbers import GREATEST, to_float
from toro_core.search.orders import Ordered
from toro_core.search.quantities import money_rows, quantity_rows, range_rows
from toro_core.search.text import fold
from toro_core.storage import DateRow, NumberRow, OrderRow, QuantityRow, ReferenceRow, StringRow, TokenRow, UriRow

__all__ = ["CONVERTIBLE", "IDENTIFIER", "OF_TYPE", "TEXT", "TEXT_MEMBERS", "converter"]

TEXT: Final = ":text"
IDENTIFIER: Final = ":identifier"
OF_TYPE: Final = ":of-type"
"""What is added to a name for the rows of a modifier."""
_REMEMBERED: Final = 2000
"""Values of which a converter remembers the rows, so that equal ones need not be converted again."""

TEXT_MEMBERS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "Address": (("text",), ("line",), ("city",), ("district",), ("state",), ("postalCode",), ("country",)),
    "CodeableConcept": (("text",), ("coding", "display")),
    "HumanName": (("text",), ("family",), ("given",), ("prefix",), ("suffix",)),
}
"""The members that a string search of a complex type looks at."""

_Maker: TypeAlias = Callable[[str, Ordered], Convert]
"""Makes the converter of a parameter."""


def converter(
    param: str,
    search_type: str,
    data_type: str,
    references: References,
    *,
    systems: Mapping[str, str],
    targets: frozenset[str] = frozenset(),
    ordered: Ordered,
) -> Convert:
    """Return what makes rows of `param`, and by `ordered` what they are sorted by.

    `systems` gives the system of each code that stands without one, `targets` the types to which references are told apart.
    """
    if search_type == "reference":
        return _canonicals(param, ordered) if data_type in _URIS else _references(param, ordered, references, targets)
    if data_type == "code" and search_type == "token":
        return _codes(param, ordered, systems)
    return _CONVERTERS[search_type][data_type](param, ordered)


def _codes(param: str, ordered: Ordered, systems: Mapping[str, str]) -> Convert:
    made = {code: (TokenRow(param, system, code), ordered(code)) for code, system in systems.items()}

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            if value is not None:
                token, orders = made.get(value) or (TokenRow(param, "", value), ordered(value))
                found.tokens.append(token)
                found.orders.extend(orders)

    return convert


def _booleans(param: str, ordered: Ordered) -> Convert:
    no, yes = ((TokenRow(param, "", code), ordered(code)) for code in ("false", "true"))

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            if value is not None:
                token, orders = yes if value else no
                found.tokens.append(token)
                found.orders.extend(orders)

    return convert


def _codings(param: str, ordered: Ordered) -> Convert:
    nothing = TokenRow(param, "", "")
    coded = _coded(param, ordered)

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            token, orders, label = coded(value.get("system", ""), value.get("code", ""), value.get("display"))
            found.tokens.append(token or nothing)
            found.orders.extend(orders)
            if label:
                found.uris.append(label)

    return convert


def _concepts(param: str, ordered: Ordered) -> Convert:
    nothing = TokenRow(param, "", "")
    coded, labelled = _coded(param, ordered), _labelled(param)

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            is_coded = False
            for coding in value.get("coding", ()):
                token, orders, label = coded(coding.get("system", ""), coding.get("code", ""), coding.get("display"))
                if token:
                    found.tokens.append(token)
                    found.orders.extend(orders)
                    is_coded = True
                if label:
                    found.uris.append(label)
            if not is_coded:
                found.tokens.append(nothing)
            text = value.get("text")
            if text and (label := labelled(text)):
                found.uris.append(label)

    return convert


_Coding: TypeAlias = tuple[TokenRow | None, tuple[OrderRow, ...], UriRow | None]


def _coded(param: str, ordered: Ordered) -> Callable[[str, str, str | None], _Coding]:
    """Return what makes the rows of codings, and remembers them: the same few come again and again."""
    labelled = _labelled(param)

    def coded(system: str, code: str, display: str | None) -> _Coding:
        token = TokenRow(param, system, code) if system or code else None
        return token, ordered(code), labelled(display) if display else None

    return lru_cache(_REMEMBERED)(coded)


def _labelled(param: str) -> Callable[[str], UriRow | None]:
    """Return what makes the row of a text beside codes, None where nothing in it can be searched."""
    name = param + TEXT

    def labelled(text: str) -> UriRow | None:
        folded = fold(text)
        return UriRow(name, folded) if folded else None

    return lru_cache(_REMEMBERED)(labelled)


def _contact_points(param: str, ordered: Ordered) -> Convert:
    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            system, code = value.get("system", ""), value.get("value", "")
            found.tokens.append(TokenRow(param, system, code))
            found.orders.extend(ordered(code))

    return convert


def _identifiers(param: str, ordered: Ordered) -> Convert:
    typed, labelled = param + OF_TYPE, _labelled(param)

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            system, code = value.get("system", ""), value.get("value", "")
            found.tokens.append(TokenRow(param, system, code))
            found.orders.extend(ordered(code))
            kind = value.get("type")
            if kind:
                if code:
                    found.tokens += [
                        TokenRow(typed, coding.get("system", ""), f"{coding.get('code', '')}|{code}")
                        for coding in kind.get("coding", ())
                    ]
                text = kind.get("text")
                if text and (label := labelled(text)):
                    found.uris.append(label)

    return convert


def _texts(param: str, ordered: Ordered) -> Convert:
    nothing = TokenRow(param, "", "")

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            if value and (folded := fold(value)):
                found.strings.append(StringRow(param, folded, value))
                found.orders.extend(ordered(folded))
            elif value:
                found.tokens.append(nothing)

    return convert


def _moments(param: str, ordered: Ordered) -> Convert:
    @lru_cache(_REMEMBERED)
    def made(value: str) -> tuple[DateRow, tuple[OrderRow, ...]]:
        low, high = interval(value)
        return DateRow(param, low, high), ordered(low)

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            try:
                row, orders = made(value)
            except (InvalidDate, TypeError):
                continue  # validation refuses such a value; one loaded as it is stays readable but unfound
            found.dates.append(row)
            found.orders.extend(orders)

    return convert


def _spans(covered: Callable[[Any], tuple[int, int] | None]) -> _Maker:
    def of(param: str, ordered: Ordered) -> Convert:
        nothing = TokenRow(param, "", "")

        def convert(values: list[Any], found: Found) -> None:
            for value in values:
                if span := covered(value):
                    found.dates.append(DateRow(param, *span))
                    found.orders.extend(ordered(span[0]))
                else:
                    found.tokens.append(nothing)

        return convert

    return of


def _addresses(param: str, ordered: Ordered) -> Convert:
    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            if value:
                found.uris.append(UriRow(param, value))
                found.orders.extend(ordered(value))

    return convert


def _canonicals(param: str, ordered: Ordered) -> Convert:
    """Make a row of the canonical and one of it without its version, which a search may leave out."""

    @lru_cache(_REMEMBERED)
    def made(value: str) -> tuple[tuple[UriRow, ...], tuple[OrderRow, ...]]:
        unversioned, bar, _ = value.partition("|")
        names = (value, unversioned) if bar else (value,)
        return tuple(UriRow(param, name) for name in names), tuple(order for name in names for order in ordered(name))

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            if value:
                rows, orders = made(value)
                found.uris.extend(rows)
                found.orders.extend(orders)

    return convert


def _references(param: str, ordered: Ordered, references: References, targets: frozenset[str]) -> Convert:
    """Make rows of references, to say that there are some even where they lead nowhere, and of logical ones."""
    nothing = TokenRow(param, "", "")

    @lru_cache(_REMEMBERED)
    def local(text: str | None) -> tuple[ReferenceRow, tuple[OrderRow, ...]] | None:
        target = references.parse(text) if text else None
        return (
            (ReferenceRow(param, *target), ordered(f"{target.type}/{target.id}")) if isinstance(target, Local) else None
        )

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            text = value.get("reference")
            if made := local(text):
                row, orders = made
                found.references.append(row)
                found.orders.extend(orders)
                if "identifier" not in value:
                    continue
            elif address := references.parse(text) if text else None:
                found.uris.append(UriRow(param, str(address)))
                found.orders.extend(ordered(str(address)))
            else:
                found.tokens.append(nothing)
            type_ = (references.type_of(text) if text else "") or value.get("type", "")
            if type_ in targets and not made:
                found.tokens.append(TokenRow(f"{param}:{type_}", "", ""))
            if identifier := value.get("identifier"):
                found.tokens.append(_identified(param + IDENTIFIER, identifier))
                if type_ in targets:
                    found.tokens.append(_identified(f"{param}{IDENTIFIER}:{type_}", identifier))

    return convert


def _identified(param: str, identifier: dict[str, Any]) -> TokenRow:
    system, code = identifier.get("system", ""), identifier.get("value", "")
    if not isinstance(code, str):
        raise TypeError
    return TokenRow(param, system, code)


def _numbers(param: str, ordered: Ordered) -> Convert:
    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            if isinstance(value, int | Decimal):
                number = to_float(value)
                found.numbers.append(NumberRow(param, number, number))
                found.orders.extend(ordered(number))

    return convert


def _ranges(param: str, ordered: Ordered) -> Convert:
    """Make number rows of Ranges, whatever their unit."""
    nothing = TokenRow(param, "", "")

    def convert(values: list[Any], found: Found) -> None:
        for value in values:
            low, high = ((value.get(end) or {}).get("value") for end in ("low", "high"))
            if low is not None or high is not None:
                least = -GREATEST if low is None else to_float(low)
                found.numbers.append(NumberRow(param, least, GREATEST if high is None else to_float(high)))
                found.orders.extend(ordered(least))
            else:
                found.tokens.append(nothing)

    return convert


def _amounts(made: Callable[[str, Any], Iterable[QuantityRow]]) -> _Maker:
    def of(param: str, _: Ordered) -> Convert:
        nothing = TokenRow(param, "", "")

        def convert(values: list[Any], found: Found) -> None:
            for value in values:
                before = len(found.quantities)
                found.quantities.extend(made(param, value))
                if len(found.quantities) == before:
                    found.tokens.append(nothing)

        return convert

    return of


_URIS: Final = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_CONVERTERS: Final[dict[str, dict[str, _Maker]]] = {
    "token": {
        "boolean": _booleans,
        "CodeableConcept": _concepts,
        "Coding": _codings,
        "ContactPoint": _contact_points,
        "Identifier": _identifiers,
        **dict.fromkeys(("id", "string", *_URIS), lambda param, ordered: _codes(param, ordered, {})),
    },
    "string": {"markdown": _texts, "string": _texts},
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), _moments),
        "Period": _spans(period),
        "Timing": _spans(timing),
    },
    "number": {
        **dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _numbers),
        "Range": _ranges,
    },
    "quantity": {
        **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), _amounts(quantity_rows)),
        "Money": _amounts(money_rows),
        "Range": _amounts(range_rows),
    },
    "uri": {**dict.fromkeys(_URIS, _addresses), "canonical": _canonicals},
}
CONVERTIBLE: Final[Mapping[str, frozenset[str]]] = {
    **{search_type: frozenset(by_type) for search_type, by_type in _CONVERTERS.items()},
    "string": frozenset({*_CONVERTERS["string"], *TEXT_MEMBERS}),
    "token": frozenset({"code", *_CONVERTERS["token"]}),
    "reference": frozenset({"Reference", *_URIS}),
}
"""The data types each search type can index."""
