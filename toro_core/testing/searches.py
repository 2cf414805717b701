"""What each criterion finds.

Past 250 lines because it is one list of cases, a test each.
"""

# ruff: noqa: D102, S101 - a test's name is its sentence; a suite asserts

from __future__ import annotations

from collections.abc import Collection

import pytest

from toro_core.search.plan import (
    FOREVER,
    NEVER,
    AllOf,
    AnyOf,
    Composite,
    Criterion,
    Ids,
    LastUpdated,
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
from toro_core.testing.making import TYPE, create, delete, found, write

__all__ = ["SearchConformance"]

_HOSTILE = (
    "%",
    "_",
    "\\",
    "'",
    '"',
    "''",
    "'; DROP TABLE x; --",
    "?",
    ":low",
    "a\x00b",
    "a",
    "\x00",
    "é",
    "e\u0301",
    "\U0010ffff",
)

_PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

# Where intervals lie to the searched one, [100, 200), and the prefixes under which they are found.
_INTERVALS: dict[str, tuple[int, int, str]] = {
    "before": (0, 50, "ne lt le eb"),
    "meets": (50, 100, "ne lt le eb"),
    "overlaps the start": (50, 150, "ne lt le ap"),
    "starts it": (100, 150, "eq ge le ap"),
    "equals": (100, 200, "eq ge le ap"),
    "inside": (120, 180, "eq ge le ap"),
    "ends it": (150, 200, "eq ge le ap"),
    "overlaps the end": (150, 250, "ne gt ge ap"),
    "met": (200, 250, "ne gt ge sa"),
    "after": (250, 300, "ne gt ge sa"),
    "covers": (50, 250, "ne gt ge lt le ap"),
    "covers from the start": (100, 250, "ne gt ge ap"),
    "covers to the end": (50, 200, "ne lt le ap"),
    "one short of the start": (99, 200, "ne lt le ap"),
    "one past the end": (100, 201, "ne gt ge ap"),
    "open start, ends before": (NEVER, 100, "ne lt le eb"),
    "open start": (NEVER, 150, "ne lt le ap"),
    "open end": (150, FOREVER, "ne gt ge ap"),
    "open end, starts after": (200, FOREVER, "ne gt ge sa"),
    "open": (NEVER, FOREVER, "ne gt ge lt le ap"),
}


def _plan(criterion: Criterion, *, type: str = TYPE) -> SearchPlan:
    return SearchPlan(type=type, criterion=criterion)


async def _finds(storage: Storage, criterion: Criterion, expected: Collection[str]) -> None:
    assert await found(storage, _plan(criterion)) == set(expected), criterion


class SearchConformance:
    """One criterion at a time, then how they combine."""

    async def test_a_token_is_found_by_system_code_or_both(self, storage: Storage) -> None:
        await create(
            storage,
            {
                "s1a": Rows(tokens=(TokenRow("code", "s1", "a"),)),
                "s2a": Rows(tokens=(TokenRow("code", "s2", "a"),)),
                "a": Rows(tokens=(TokenRow("code", "", "a"),)),
                "s1b": Rows(tokens=(TokenRow("code", "s1", "b"), TokenRow("code", "s2", "c"))),
                "s1": Rows(tokens=(TokenRow("code", "s1", ""),)),
                "other": Rows(tokens=(TokenRow("category", "s1", "a"),)),
                "none": Rows(),
            },
        )
        await _finds(storage, Token(param="code", code="a"), {"s1a", "s2a", "a"})
        await _finds(storage, Token(param="code", system="s1", code="a"), {"s1a"})
        await _finds(storage, Token(param="code", system="", code="a"), {"a"})
        await _finds(storage, Token(param="code", system="s1"), {"s1a", "s1b", "s1"})
        await _finds(storage, Token(param="code", system=""), {"a"})
        await _finds(storage, Token(param="code"), {"s1a", "s2a", "a", "s1b", "s1"})
        await _finds(storage, Token(param="code", code=""), {"s1"})
        await _finds(storage, Token(param="code", system="s1", code="c"), set())
        for nothing in ("A", "", "aa"):
            await _finds(storage, Token(param="code", system="s2", code=nothing), set())
        await _finds(storage, Token(param="unheard", code="a"), set())

    async def test_a_code_of_many_systems_is_found(self, storage: Storage) -> None:
        await create(storage, {f"r{n}": Rows(tokens=(TokenRow("code", f"s{n}", "a"),)) for n in range(150)})
        await _finds(storage, Token(param="code", code="a"), {f"r{n}" for n in range(150)})
        await _finds(storage, Token(param="code", system="s7", code="a"), {"r7"})

    async def test_text_is_found_by_how_it_starts(self, storage: Storage) -> None:
        names = {
            "smith": StringRow("name", "smith", "Smith"),
            "smithson": StringRow("name", "smithson", "Smithson"),
            "smi": StringRow("name", "smi", "SMI"),
            "blacksmith": StringRow("name", "blacksmith", "Blacksmith"),
            "city": StringRow("city", "smith", "Smith"),
        }
        await create(storage, {id: Rows(strings=(row,)) for id, row in names.items()})
        await _finds(storage, Text(param="name", value="smith"), {"smith", "smithson"})
        await _finds(storage, Text(param="name", value="smi"), {"smith", "smithson", "smi"})
        await _finds(storage, Text(param="name", value=""), {"smith", "smithson", "smi", "blacksmith"})
        await _finds(storage, Text(param="name", value="Smith"), set())
        await _finds(storage, Text(param="name", value="mith"), set())

    @pytest.mark.parametrize("offset", [0, 1_700_000_000_000_000, -5_000_000_000_000_000])
    @pytest.mark.parametrize("scale", [1, 1_000_000_000_000])
    async def test_every_prefix_keeps_to_its_boundaries(self, storage: Storage, offset: int, scale: int) -> None:
        def move(value: int) -> int:
            return value if value in (NEVER, FOREVER) else offset + value * scale

        await create(
            storage,
            {
                id: Rows(dates=(DateRow("date", move(low), move(high)),), sort=move(low))
                for id, (low, high, _) in _INTERVALS.items()
            },
        )
        await create(storage, {"none": Rows(), "other": Rows(dates=(DateRow("issued", move(100), move(200)),))})
        for prefix in _PREFIXES:
            expected = {id for id, (_, _, prefixes) in _INTERVALS.items() if prefix in prefixes.split()}
            await _finds(storage, Period(param="date", prefix=prefix, low=move(100), high=move(200)), expected)

    async def test_a_resource_with_several_dates_is_found_by_any_one_of_them(self, storage: Storage) -> None:
        await create(storage, {"two": Rows(dates=(DateRow("date", 0, 10), DateRow("date", 90, 100)), sort=0)})
        for prefix, low, high, there in (
            ("eq", 90, 100, True),
            ("eq", 40, 50, False),
            ("eq", 0, 100, True),
            ("gt", 40, 50, True),
            ("lt", 40, 50, True),
            ("sa", 40, 50, True),
            ("eb", 40, 50, True),
            ("sa", 95, 100, False),
        ):
            criterion = Period(param="date", prefix=prefix, low=low, high=high)  # type: ignore[arg-type]
            await _finds(storage, criterion, {"two"} if there else set())

    async def test_when_a_resource_was_stored_is_compared_to_the_millisecond(self, storage: Storage) -> None:
        (stored,) = await storage.commit([write("a")])
        low, high = stored.at * 1000, stored.at * 1000 + 1000
        for prefix, searched, there in (
            ("eq", (low, high), True),
            ("eq", (low + 1, high), False),
            ("eq", (low, high - 1), False),
            ("ne", (low, high), False),
            ("ne", (low, high - 1), True),
            ("gt", (low, high - 1), True),
            ("gt", (low, high), False),
            ("lt", (low + 1, high), True),
            ("lt", (low, high), False),
            ("ge", (low, high), True),
            ("ge", (low + 1, high), False),
            ("le", (low, high), True),
            ("le", (low, high - 1), False),
            ("sa", (low - 5, low), True),
            ("sa", (low - 5, low + 1), False),
            ("eb", (high, high + 5), True),
            ("eb", (high - 1, high + 5), False),
            ("ge", (NEVER, FOREVER), True),
            ("sa", (NEVER, FOREVER), False),
            ("ap", (high - 1, high + 5), True),
            ("ap", (low - 5, low + 1), True),
            ("ap", (low + 1, low + 2), True),
            ("ap", (high, high + 5), False),
            ("ap", (low - 5, low), False),
        ):
            criterion = LastUpdated(prefix=prefix, low=searched[0], high=searched[1])  # type: ignore[arg-type]
            await _finds(storage, criterion, {"a"} if there else set())

    async def test_a_reference_is_found_by_id_type_and_version(self, storage: Storage) -> None:
        await create(
            storage,
            {
                "p1": Rows(references=(ReferenceRow("subject", "Patient", "1", ""),)),
                "p1v2": Rows(
                    references=(
                        ReferenceRow("subject", "Patient", "1", "2"),
                        ReferenceRow("subject", "Patient", "1", "3"),
                    )
                ),
                "g1": Rows(references=(ReferenceRow("subject", "Group", "1", ""),)),
                "p10": Rows(references=(ReferenceRow("subject", "Patient", "10", ""),)),
                "other": Rows(references=(ReferenceRow("performer", "Patient", "1", ""),)),
            },
        )
        await _finds(storage, Reference(param="subject", id="1"), {"p1", "p1v2", "g1"})
        await _finds(storage, Reference(param="subject", type="Patient", id="1"), {"p1", "p1v2"})
        await _finds(storage, Reference(param="subject", type="Patient", id="1", version="2"), {"p1v2"})
        await _finds(storage, Reference(param="subject", id="1", version="3"), {"p1v2"})
        await _finds(storage, Reference(param="subject", type="Patient", id="1", version="4"), set())
        await _finds(storage, Reference(param="subject", type="Device", id="1"), set())
        await _finds(storage, Reference(param="subject", id="2"), set())

    async def test_a_reference_stays_when_its_target_comes_changes_and_goes(self, storage: Storage) -> None:
        referring = Rows(references=(ReferenceRow("subject", "Patient", "1", ""),))
        await create(storage, {"a": referring})
        assert await storage.read_many([write("1", type="Patient").key]) == [None]
        for each in (write("1", type="Patient"), write("1", type="Patient"), delete("1", type="Patient")):
            await storage.commit([each])
            await _finds(storage, Reference(param="subject", type="Patient", id="1"), {"a"})
        assert await storage.count(SearchPlan(type="Patient")) == 0

    async def test_a_uri_is_found_exactly(self, storage: Storage) -> None:
        await create(
            storage,
            {
                "a": Rows(uris=(UriRow("url", "http://x/a"),)),
                "ab": Rows(uris=(UriRow("url", "http://x/a/b"), UriRow("url", "urn:oid:1"))),
                "other": Rows(uris=(UriRow("source", "http://x/a"),)),
            },
        )
        await _finds(storage, Uri(param="url", value="http://x/a"), {"a"})
        await _finds(storage, Uri(param="url", value="urn:oid:1"), {"ab"})
        await _finds(storage, Uri(param="url", value="http://x/"), set())
        await _finds(storage, Uri(param="url", value="http://X/a"), set())

    async def test_ids_are_found_however_many_are_asked_for(self, storage: Storage) -> None:
        await create(storage, {f"r{n}": Rows() for n in range(20)})
        await storage.commit([delete("r3")])
        await create(storage, {"r100": Rows()}, type="Patient")
        await _finds(storage, Ids(ids=("r1", "r3", "nobody", "r7", "r1", "r\x007")), {"r1", "r7"})
        await _finds(storage, Ids(ids=()), set())
        await _finds(storage, Ids(ids=tuple(f"r{n}" for n in range(10_000))), {f"r{n}" for n in range(20) if n != 3})

    async def test_all_of_nothing_is_everything_and_any_of_nothing_is_nothing(self, storage: Storage) -> None:
        await create(storage, {"a": Rows(), "b": Rows()})
        await storage.commit([delete("b")])
        await _finds(storage, AllOf(()), {"a"})
        await _finds(storage, AnyOf(()), set())
        await _finds(storage, AllOf((AllOf(()), AnyOf((AnyOf(()), AllOf(()))))), {"a"})
        await _finds(storage, AllOf((AllOf(()), AnyOf(()))), set())

    async def test_criteria_combine(self, storage: Storage) -> None:
        def rows(code: str, patient: str, at: int) -> Rows:
            return Rows(
                tokens=(TokenRow("code", "s", code), TokenRow("status", "", "final")),
                references=(ReferenceRow("subject", "Patient", patient, ""),),
                dates=(DateRow("date", at, at + 1),),
                sort=at,
            )

        await create(storage, {f"{code}{p}{at}": rows(code, p, at) for code in "ab" for p in "12" for at in (3, 5)})
        code_a, patient_1 = Token(param="code", code="a"), Reference(param="subject", type="Patient", id="1")
        patient_2 = Reference(param="subject", type="Patient", id="2")
        early = Period(param="date", prefix="lt", low=5, high=6)
        final = Token(param="status", code="final")
        await _finds(storage, AllOf((code_a, patient_1)), {"a13", "a15"})
        await _finds(storage, AllOf((code_a, patient_1, early, final)), {"a13"})
        await _finds(storage, AnyOf((code_a, patient_1)), {"a13", "a15", "a23", "a25", "b13", "b15"})
        await _finds(storage, AllOf((AnyOf((patient_1, patient_2)), code_a, early)), {"a13", "a23"})
        await _finds(storage, AnyOf((AllOf((code_a, early)), AllOf((patient_2, code_a)))), {"a13", "a23", "a25"})
        await _finds(
            storage, AllOf((AnyOf((early, Ids(ids=("b25",)))), Token(param="code", code="b"))), {"b13", "b23", "b25"}
        )
        await _finds(storage, AllOf((code_a, Token(param="code", code="b"))), set())

    async def test_a_hundred_alternatives_are_one_search(self, storage: Storage) -> None:
        ids = [f"r{n}" for n in range(120)]
        await create(storage, {id: Rows(tokens=(TokenRow("identifier", "s", id),)) for id in ids})
        for many in (2, 64, 65, 110):
            wanted = tuple(Token(param="identifier", system="s", code=id) for id in ids[:many])
            await _finds(storage, AnyOf(wanted), ids[:many])
        mixed = AnyOf((*(Token(param="identifier", code=id) for id in ids[:70]), Ids(ids=("r100", "r0"))))
        await _finds(storage, mixed, {*ids[:70], "r100"})

    async def test_thousands_of_alternatives_are_one_search(self, storage: Storage) -> None:
        await create(storage, {f"r{n}": Rows(tokens=(TokenRow("identifier", "s", f"r{n}"),)) for n in range(10)})
        many = tuple(Token(param="identifier", system="s", code=f"r{n}") for n in range(3000))
        await _finds(storage, AnyOf(many), {f"r{n}" for n in range(10)})
        await _finds(
            storage, AllOf((AnyOf(many), AnyOf((*many, Text(param="x", value="x"))))), {f"r{n}" for n in range(10)}
        )

    async def test_a_type_finds_nothing_of_another(self, storage: Storage) -> None:
        rows = Rows(
            tokens=(TokenRow("identifier", "s", "1"),),
            strings=(StringRow("name", "x", "x"),),
            dates=(DateRow("date", 0, 1),),
            references=(ReferenceRow("subject", "Patient", "1", ""),),
            uris=(UriRow("url", "u"),),
            sort=0,
        )
        await create(storage, {"a": rows}, type="Patient")
        criteria: tuple[Criterion, ...] = (
            AllOf(()),
            Token(param="identifier", code="1"),
            Text(param="name", value="x"),
            Period(param="date", prefix="eq", low=0, high=1),
            Reference(param="subject", id="1"),
            Uri(param="url", value="u"),
            Ids(ids=("a",)),
            LastUpdated(prefix="ge", low=0, high=1),
        )
        for criterion in criteria:
            assert await found(storage, _plan(criterion, type="Patient")) == {"a"}
            assert await found(storage, _plan(criterion)) == set()
        await create(storage, {"b": rows})
        for criterion in criteria[:-2]:
            assert await found(storage, _plan(criterion, type="Patient")) == {"a"}
            assert await found(storage, _plan(criterion)) == {"b"}

    async def test_an_update_moves_every_index_row(self, storage: Storage) -> None:
        def rows(n: int, sort: int) -> Rows:
            return Rows(
                tokens=(TokenRow("code", "s", f"c{n}"), TokenRow("kept", "", "kept")),
                strings=(StringRow("name", f"n{n}", f"N{n}"), StringRow("kept", "kept", "Kept")),
                dates=(DateRow("date", n, n + 1), DateRow("kept", 0, 1)),
                references=(ReferenceRow("subject", "Patient", f"p{n}", ""), ReferenceRow("kept", "Patient", "1", "")),
                uris=(UriRow("url", f"u{n}"), UriRow("kept", "kept")),
                numbers=(NumberRow("number", n, n), NumberRow("kept", 0, 1)),
                quantities=(QuantityRow("amount", "u", "g", n, n + 1), QuantityRow("kept", "u", "g", 0, 0)),
                groups=(GroupRow("group", Rows(tokens=(TokenRow("code", "s", f"c{n}"),))),),
                sort=sort,
            )

        def criteria(n: int) -> tuple[Criterion, ...]:
            return (
                Token(param="code", code=f"c{n}"),
                Text(param="name", value=f"n{n}"),
                Period(param="date", prefix="eq", low=n, high=n + 1),
                Reference(param="subject", id=f"p{n}"),
                Uri(param="url", value=f"u{n}"),
                Number(param="number", prefix="eq", low=n, high=n + 0.5),
                Quantity(param="amount", prefix="eq", low=n, high=n + 1.5, system="u", code="g"),
                Composite(param="group", criteria=(Token(param="code", code=f"c{n}"),)),
            )

        kept: tuple[Criterion, ...] = (
            Token(param="kept", code="kept"),
            Text(param="kept", value="kept"),
            Period(param="kept", prefix="eq", low=0, high=1),
            Reference(param="kept", type="Patient", id="1"),
            Uri(param="kept", value="kept"),
            Number(param="kept", prefix="gt", low=0, high=0),
            Quantity(param="kept", prefix="eq", low=0, high=1, system="u", code="g"),
            Present(param="kept"),
        )
        # The same sort value, another one, the first rows again.
        for n, sort, before in ((1, 5, 2), (2, 5, 1), (2, 9, 1), (1, 9, 2)):
            await create(storage, {"a": rows(n, sort), "beside": rows(7, 5)})
            for criterion in criteria(n):
                await _finds(storage, criterion, {"a"})
            for criterion in criteria(before):
                await _finds(storage, criterion, set())
            for criterion in kept:
                await _finds(storage, criterion, {"a", "beside"})
            await _finds(storage, AllOf((*criteria(n), *kept)), {"a"})
        await storage.commit([delete("a")])
        for criterion in (*criteria(1), *criteria(2)):
            await _finds(storage, criterion, set())
        await create(storage, {"a": rows(2, 5)})
        await _finds(storage, AllOf((*criteria(2), *kept)), {"a"})

    async def test_values_are_values_whatever_is_in_them(self, storage: Storage) -> None:
        await create(
            storage,
            {
                f"r{n}": Rows(
                    tokens=(TokenRow("code", value, value),),
                    strings=(StringRow("name", value, value),),
                    uris=(UriRow("url", value),),
                )
                for n, value in enumerate(_HOSTILE)
            },
        )
        for n, value in enumerate(_HOSTILE):
            await _finds(storage, Token(param="code", system=value, code=value), {f"r{n}"})
            await _finds(storage, Token(param="code", code=value), {f"r{n}"})
            await _finds(storage, Token(param="code", system=value), {f"r{n}"})
            await _finds(storage, Uri(param="url", value=value), {f"r{n}"})
            starts = {f"r{m}" for m, other in enumerate(_HOSTILE) if other.startswith(value)}
            await _finds(storage, Text(param="name", value=value), starts)
            await _finds(storage, Token(param=value, code=value), set())
            await _finds(storage, Ids(ids=(value,)), set())

    async def test_an_index_row_given_twice_is_one(self, storage: Storage) -> None:
        twice = Rows(
            tokens=(TokenRow("code", "s", "a"),) * 2,
            strings=(StringRow("name", "x", "X"), StringRow("name", "x", "x"), StringRow("name", "x", "X")),
            dates=(DateRow("date", 0, 1),) * 2,
            references=(ReferenceRow("subject", "Patient", "1", ""), ReferenceRow("subject", "Patient", "1", "1")) * 2,
            uris=(UriRow("url", "u"),) * 2,
            numbers=(NumberRow("number", 1, 1),) * 2,
            quantities=(QuantityRow("amount", "u", "g", 1, 2), QuantityRow("amount", "u", "g", 1, 1)) * 2,
            groups=(GroupRow("group", Rows(tokens=(TokenRow("code", "s", "a"),) * 2)),) * 2,
            orders=(OrderRow("key", 1, 2),) * 2,
            compartments=("1", "1"),
        )
        for _ in range(2):
            await create(storage, {"a": twice})
            for criterion in (
                Token(param="code", code="a"),
                Text(param="name", value="x"),
                Period(param="date", prefix="eq", low=0, high=1),
                Reference(param="subject", id="1"),
                Uri(param="url", value="u"),
                Number(param="number", prefix="eq", low=1, high=2),
                Quantity(param="amount", prefix="gt", low=1, high=1, system="u", code="g"),
                Composite(param="group", criteria=(Token(param="code", code="a"),)),
            ):
                await _finds(storage, criterion, {"a"})
