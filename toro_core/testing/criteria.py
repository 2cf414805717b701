"""What each criterion finds beyond tokens, dates and references: texts by parts, amounts, groups, presence, its contrary, chains.

Past 250 lines because it is one list of cases, a test each.
"""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

import sys
from collections.abc import Collection

import pytest

from toro_core.errors import Unsupported
from toro_core.search.plan import (
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Composite,
    Criterion,
    Has,
    Not,
    Number,
    Period,
    Prefix,
    Present,
    Quantity,
    Reference,
    SearchPlan,
    Text,
    Token,
    Uri,
)
from toro_core.storage import (
    DateRow,
    GroupRow,
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
from toro_core.testing.making import TYPE, create, delete, found, put, write

__all__ = ["CriteriaConformance"]

_GREATEST = sys.float_info.max
_PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")

# Where amounts lie to 10, which as `eq` has it stands for [9.5, 10.5) and as `ap` for [9, 11].
_AMOUNTS: dict[str, tuple[float, float, str]] = {
    "far below": (-3, -3, "ne lt le eb"),
    "just near": (9, 9, "ne lt le eb ap"),
    "just not near": (8.999999999999998, 8.999999999999998, "ne lt le eb"),
    "rounds up to it": (9.5, 9.5, "eq lt le eb ap"),
    "a hair below": (9.999999999999998, 9.999999999999998, "eq lt le eb ap"),
    "equal": (10, 10, "eq ge le ap"),
    "a hair above": (10.000000000000002, 10.000000000000002, "eq gt ge sa ap"),
    "rounds away": (10.5, 10.5, "ne gt ge sa ap"),
    "near above": (11, 11, "ne gt ge sa ap"),
    "far above": (12, 12, "ne gt ge sa"),
    "spans it": (8, 12, "ne gt ge lt le ap"),
    "spans within": (9.75, 10.25, "eq gt ge lt le ap"),
    "up to it": (5, 10, "ne ge lt le ap"),
    "from it": (10, 20, "ne gt ge le ap"),
    "below it": (5, 9.75, "ne lt le eb ap"),
    "above it": (11.5, 20, "ne gt ge sa"),
    "open below": (-_GREATEST, 8, "ne lt le eb"),
    "open above": (12, _GREATEST, "ne gt ge sa"),
    "open": (-_GREATEST, _GREATEST, "ne gt ge lt le ap"),
}
_SEARCHED: dict[Prefix, tuple[float, float]] = {"eq": (9.5, 10.5), "ne": (9.5, 10.5), "ap": (9, 11)}


async def _finds(storage: Storage, criterion: Criterion, expected: Collection[str], type: str = TYPE) -> None:
    assert await found(storage, SearchPlan(type=type, criterion=criterion)) == set(expected), criterion


def _kg(low: float, high: float, code: str = "kg") -> Rows:
    return Rows(quantities=(QuantityRow("value", "u", code, low, high),))


def _refers(*targets: str, param: str = "subject", code: str = "x") -> Rows:
    names = [target.split("/") for target in targets]
    return Rows(
        references=tuple(ReferenceRow(param, name[0], name[1], "1" if name[2:] else "") for name in names),
        tokens=(TokenRow("code", "", code),),
    )


class CriteriaConformance:
    """One criterion at a time."""

    async def test_text_is_found_by_a_part_or_by_all_of_it(self, storage: Storage) -> None:
        names = {
            "smith": StringRow("name", "smith", "Smith"),
            "SMITH": StringRow("name", "smith", "SMITH"),
            "blacksmith": StringRow("name", "blacksmith", "Blacksmith"),
            "percent": StringRow("name", "a%b_c'd", "a%b_c'd"),
            "city": StringRow("city", "smith", "Smith"),
        }
        await create(storage, {id: Rows(strings=(row,)) for id, row in names.items()})
        for value, expected in (
            ("mit", {"smith", "SMITH", "blacksmith"}),
            ("smith", {"smith", "SMITH", "blacksmith"}),
            ("blacksmiths", set()),
            ("%", {"percent"}),
            ("_c'", {"percent"}),
            ("?", set()),
            ("", {"smith", "SMITH", "blacksmith", "percent"}),
        ):
            await _finds(storage, Text(param="name", value=value, match="contains"), expected)
        for value, expected in (
            ("Smith", {"smith"}),
            ("smith", set()),
            ("Smit", set()),
            ("Smith ", set()),
            ("a%b_c'd", {"percent"}),
        ):
            await _finds(storage, Text(param="name", value=value, match="exact"), expected)
        both = AllOf((Text(param="name", value="smith"), Text(param="name", value="SMITH", match="exact")))
        await _finds(storage, both, {"SMITH"})

    async def test_a_uri_is_found_by_how_it_starts(self, storage: Storage) -> None:
        urls = {"a": "http://x/a", "ab": "http://x/a/b", "A": "http://X/a", "aa": "http://x/aa", "last": "\U0010ffff"}
        await create(storage, {id: Rows(uris=(UriRow("url", url),)) for id, url in urls.items()})
        await create(storage, {f"n{n}": Rows(uris=(UriRow("many", f"urn:{n}"),)) for n in range(150)})
        for start, expected in (
            ("http://x/a/", {"ab"}),
            ("http://x/a", {"a", "ab", "aa"}),
            ("http://x/%", set()),
            ("\U0010ffff", {"last"}),
            ("", set(urls)),
            ("urn:", set()),
        ):
            await _finds(storage, Uri(param="url", value=start, match="starts"), expected)
        await _finds(storage, Uri(param="many", value="urn:", match="starts"), {f"n{n}" for n in range(150)})
        await _finds(
            storage, Uri(param="many", value="urn:14", match="starts"), {"n14", *(f"n{n}" for n in range(140, 150))}
        )
        await _finds(
            storage,
            AllOf((Uri(param="many", value="urn:7", match="exact"), Uri(param="many", value="", match="starts"))),
            {"n7"},
        )

    @pytest.mark.parametrize("scale", [1, 2.0**-900, 2.0**900])
    async def test_every_prefix_compares_numbers_as_it_should(self, storage: Storage, scale: float) -> None:
        def scaled(low: float, high: float) -> tuple[float, float]:
            # Powers of two, so that nothing is rounded.
            low, high = (end if abs(end) == _GREATEST else end * scale for end in (low, high))
            return low, high

        await create(
            storage,
            {id: Rows(numbers=(NumberRow("value", *scaled(low, high)),)) for id, (low, high, _) in _AMOUNTS.items()},
        )
        await create(storage, {"none": Rows(), "other": Rows(numbers=(NumberRow("else", *scaled(10, 10)),))})
        for prefix in _PREFIXES:
            expected = {id for id, (_, _, prefixes) in _AMOUNTS.items() if prefix in prefixes.split()}
            low, high = scaled(*_SEARCHED.get(prefix, (10, 10)))
            await _finds(storage, Number(param="value", prefix=prefix, low=low, high=high), expected)

    async def test_every_prefix_compares_quantities_in_their_unit(self, storage: Storage) -> None:
        await create(storage, {id: _kg(low, high) for id, (low, high, _) in _AMOUNTS.items()})
        await create(
            storage,
            {
                "grams": _kg(10, 10, "g"),
                "elsewhere": Rows(quantities=(QuantityRow("value", "v", "kg", 10, 10),)),
                "published": Rows(quantities=(QuantityRow("value", "", "kg", 10, 10),)),
                "number": Rows(numbers=(NumberRow("value", 10, 10),)),
            },
        )
        for prefix in _PREFIXES:
            expected = {id for id, (_, _, prefixes) in _AMOUNTS.items() if prefix in prefixes.split()}
            low, high = _SEARCHED.get(prefix, (10, 10))
            wanted = Quantity(param="value", prefix=prefix, low=low, high=high, system="u", code="kg")
            await _finds(storage, wanted, expected)
        equal = {id for id, (_, _, prefixes) in _AMOUNTS.items() if "eq" in prefixes.split()}
        for system, code, expected in (
            ("u", None, equal | {"grams"}),
            ("u", "g", {"grams"}),
            ("u", "", set()),
            ("v", None, {"elsewhere"}),
            ("", "kg", {"published"}),
            ("", None, {"published"}),
            ("w", "kg", set()),
            ("w", None, set()),
        ):
            await _finds(
                storage, Quantity(param="value", prefix="eq", low=9.5, high=10.5, system=system, code=code), expected
            )
        await _finds(storage, Number(param="value", prefix="eq", low=9.5, high=10.5), {"number"})

    async def test_amounts_of_one_low_and_several_highs_are_each_found(self, storage: Storage) -> None:
        rows = tuple(NumberRow("value", 5, high) for high in (5, 7, 9, 5))
        await create(storage, {"a": Rows(numbers=rows), "b": Rows(numbers=rows[:1])})
        await _finds(storage, Number(param="value", prefix="eq", low=5, high=6), {"a", "b"})
        await _finds(storage, Number(param="value", prefix="gt", low=8, high=8), {"a"})
        await create(storage, {"a": Rows(numbers=rows[:1])})
        await _finds(storage, Number(param="value", prefix="gt", low=5, high=5), set())
        await _finds(storage, Number(param="value", prefix="ge", low=5, high=5), {"a", "b"})

    async def test_presence_is_of_rows_of_any_kind(self, storage: Storage) -> None:
        kinds = {
            "token": Rows(tokens=(TokenRow("p", "", ""),)),
            "string": Rows(strings=(StringRow("p", "", ""),)),
            "date": Rows(dates=(DateRow("p", 0, 1),)),
            "patient": Rows(references=(ReferenceRow("p", "Patient", "1", ""),)),
            "group": Rows(references=(ReferenceRow("p", "Group", "1", ""), ReferenceRow("q", "Patient", "1", ""))),
            "uri": Rows(uris=(UriRow("p", ""),)),
            "number": Rows(numbers=(NumberRow("p", 0, 0),)),
            "quantity": Rows(quantities=(QuantityRow("p", "", "", 0, 0),)),
        }
        await create(storage, kinds)
        await create(
            storage, {"none": Rows(), "ordered": Rows(orders=(OrderRow("p", 1, 1),)), "other": kinds["patient"]}
        )
        await create(storage, {"other": Rows(tokens=(TokenRow("q", "", "x"),), compartments=("1",))})
        await _finds(storage, Present(param="p"), set(kinds))
        await _finds(storage, Not(Present(param="p")), {"none", "ordered", "other"})
        await _finds(storage, Present(param="p", type="Patient"), {"patient"})
        await _finds(storage, Present(param="p", type="Device"), set())
        await _finds(storage, Not(Present(param="p", type="Group")), {*kinds, "none", "ordered", "other"} - {"group"})
        await _finds(storage, Present(param="unheard"), set())
        await create(storage, {"grouped": Rows(groups=(GroupRow("p", Rows()),))})
        await _finds(storage, Present(param="p"), {*kinds, "grouped"})

    async def test_not_is_the_contrary_of_all_there_is(self, storage: Storage) -> None:
        await create(storage, {"a": _refers(code="a"), "b": _refers(code="b"), "none": Rows(), "gone": Rows()})
        await create(storage, {"both": Rows(tokens=(TokenRow("code", "", "a"), TokenRow("code", "", "b")))})
        await storage.commit([delete("gone")])
        await create(storage, {"elsewhere": Rows()}, type="Patient")
        a, b = Token(param="code", code="a"), Token(param="code", code="b")
        await _finds(storage, Not(a), {"b", "none"})
        await _finds(storage, Not(Not(a)), {"a", "both"})
        await _finds(storage, Not(AnyOf((a, b))), {"none"})
        await _finds(storage, Not(AllOf((a, b))), {"a", "b", "none"})
        await _finds(storage, AllOf((b, Not(a))), {"b"})
        await _finds(storage, AnyOf((a, Not(b))), {"a", "both", "none"})
        await _finds(storage, Not(AllOf(())), set())
        await _finds(storage, Not(AnyOf(())), {"a", "b", "both", "none"})
        await _finds(storage, Not(Token(param="unheard", code="a")), {"a", "b", "both", "none"})

    async def test_a_composite_holds_within_one_group(self, storage: Storage) -> None:
        def group(code: str, value: float, param: str = "component") -> GroupRow:
            rows = Rows(tokens=(TokenRow("code", "s", code),), numbers=(NumberRow("value", value, value),))
            return GroupRow(param, rows)

        def rows(*groups: GroupRow) -> Rows:
            return Rows(
                tokens=tuple(row for each in groups for row in each.rows.tokens),
                numbers=tuple(row for each in groups for row in each.rows.numbers),
                groups=groups,
            )

        await create(
            storage,
            {
                "a1 b2": rows(group("a", 1), group("b", 2)),
                "a2 b1": rows(group("a", 2), group("b", 1)),
                "elsewhere": rows(group("a", 1, "other")),
                "apart": Rows(tokens=(TokenRow("code", "s", "a"),), numbers=(NumberRow("value", 1, 1),)),
                "alone": Rows(groups=(group("a", 1),)),
            },
        )
        a, one = Token(param="code", system="s", code="a"), Number(param="value", prefix="le", low=1, high=1)
        await _finds(storage, Composite(param="component", criteria=(a, one)), {"a1 b2", "alone"})
        await _finds(storage, AllOf((a, one, Composite(param="component", criteria=(a, one)))), {"a1 b2"})
        await _finds(storage, Composite(param="component", criteria=(a, Not(one))), {"a2 b1"})
        await _finds(storage, Composite(param="component", criteria=(AnyOf((a, one)),)), {"a1 b2", "a2 b1", "alone"})
        await _finds(storage, Composite(param="unheard", criteria=(a,)), set())
        await create(storage, {"a1 b2": rows(group("a", 2)), "alone": Rows()})
        await _finds(storage, Composite(param="component", criteria=(a, one)), set())

    async def test_groups_hold_rows_of_every_kind(self, storage: Storage) -> None:
        rows = Rows(
            tokens=(TokenRow("t", "s", "a"),),
            strings=(StringRow("n", "smith", "Smith"),),
            dates=(DateRow("d", 5, 6),),
            references=(ReferenceRow("r", "Patient", "1", "2"),),
            uris=(UriRow("u", "http://x/a"),),
            numbers=(NumberRow("v", 1, 3),),
            quantities=(QuantityRow("q", "s", "kg", 1, 1),),
        )
        criteria: tuple[Criterion, ...] = (
            Token(param="t", system="s"),
            Text(param="n", value="Smith", match="exact"),
            Period(param="d", prefix="eq", low=5, high=6),
            Reference(param="r", type="Patient", id="1", version="2"),
            Uri(param="u", value="http://x/", match="starts"),
            Number(param="v", prefix="gt", low=2, high=2),
            Quantity(param="q", prefix="eq", low=1, high=2, system="s", code="kg"),
            Present(param="r", type="Patient"),
        )
        await create(storage, {"in a group": Rows(groups=(GroupRow("g", rows),)), "outside": rows})
        await _finds(storage, Composite(param="g", criteria=criteria), {"in a group"})
        for criterion in criteria:
            await _finds(storage, Composite(param="g", criteria=(criterion,)), {"in a group"})
            await _finds(storage, Composite(param="g", criteria=(*criteria, Not(criterion))), set())
            await _finds(storage, criterion, {"outside"})

    async def test_a_compartment_has_what_is_said_to_lie_in_it(self, storage: Storage) -> None:
        await create(storage, {"a": Rows(compartments=("1", "2")), "b": Rows(compartments=("2",)), "c": Rows()})
        await _finds(storage, Compartment(id="1"), {"a"})
        await _finds(storage, Compartment(id="2"), {"a", "b"})
        await _finds(storage, Compartment(id="3"), set())
        await create(storage, {"a": Rows(compartments=("3",))})
        await _finds(storage, Compartment(id="2"), {"b"})
        await _finds(storage, AllOf((Compartment(id="3"), Not(Token(param="code", code="x")))), {"a"})

    async def test_a_chain_leads_through_references_or_is_said_to_be_unsupported(self, storage: Storage) -> None:
        tag = Token(param="code", code="x")
        chain = Chain(param="subject", type="Patient", criterion=tag)
        await create(storage, {"1": _refers(), "2": _refers(code="y"), "gone": _refers()}, type="Patient")
        await create(storage, {"1": _refers()}, type="Group")
        await storage.commit([delete("gone", type="Patient")])
        await create(
            storage,
            {
                "to 1": _refers("Patient/1"),
                "to a version": _refers("Patient/1/v"),
                "to 2": _refers("Patient/2"),
                "to both": _refers("Patient/2", "Patient/1"),
                "to a group": _refers("Group/1"),
                "to what is gone": _refers("Patient/gone"),
                "to nobody": _refers("Patient/nobody"),
                "by another": _refers("Patient/1", param="performer"),
            },
        )
        if "joins" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.search(SearchPlan(type=TYPE, criterion=chain))
            return
        await _finds(storage, chain, {"to 1", "to a version", "to both"})
        everyone = Chain(param="subject", type="Patient", criterion=AllOf(()))
        await _finds(storage, everyone, {"to 1", "to a version", "to 2", "to both"})
        await _finds(storage, Not(chain), {"to 2", "to a group", "to what is gone", "to nobody", "by another"})
        await _finds(storage, Chain(param="subject", type="Patient", criterion=Not(tag)), {"to 2", "to both"})
        await create(storage, {"2": _refers(), "1": _refers(code="y")}, type="Patient")
        await _finds(storage, chain, {"to 2", "to both"})
        await put(storage, [delete("2", type="Patient"), write("nobody", _refers(), type="Patient")])
        await _finds(storage, chain, {"to nobody"})

    async def test_what_is_referred_to_is_found_by_what_refers_to_it_or_said_to_be_unsupported(
        self, storage: Storage
    ) -> None:
        tag = Token(param="code", code="x")
        has = Has(type=TYPE, param="subject", criterion=tag)
        await create(storage, {"1": Rows(), "2": Rows(), "3": Rows(), "gone": Rows()}, type="Patient")
        await create(storage, {"1": Rows()}, type="Group")
        await create(
            storage,
            {
                "a": _refers("Patient/1", "Patient/gone", "Patient/nobody"),
                "b": _refers("Patient/2", code="y"),
                "c": _refers("Group/1"),
                "d": _refers("Patient/3", param="performer"),
                "e": _refers("Patient/3"),
            },
        )
        await put(storage, [delete("e"), delete("gone", type="Patient")])
        if "joins" not in storage.capabilities:
            with pytest.raises(Unsupported):
                await storage.search(SearchPlan(type="Patient", criterion=has))
            return
        await _finds(storage, has, {"1"}, "Patient")
        await _finds(storage, has, {"1"}, "Group")
        await _finds(storage, Not(has), {"2", "3"}, "Patient")
        await _finds(storage, Has(type=TYPE, param="subject", criterion=AllOf(())), {"1", "2"}, "Patient")
        siblings = Chain(param="subject", type="Patient", criterion=has)
        await create(storage, {"f": _refers("Patient/1", code="z")})
        await _finds(storage, siblings, {"a", "f"})
        await _finds(storage, AllOf((siblings, Not(tag))), {"f"})
        await storage.commit([write("a", _refers("Patient/2"))])
        await _finds(storage, has, {"2"}, "Patient")
