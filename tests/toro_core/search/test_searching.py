"""Whole searches in the core: chains, includes, orders, parts of resources, and what a caller may not see."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from toro_core.access import Access, Forbidden
from toro_core.auth.scopes import grants_of
from toro_core.caller import Caller
from toro_core.errors import TooCostly
from toro_core.plugins import open_storage
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.search.joins import Joins
from toro_core.search.paging import InvalidPageToken, PageTokens
from toro_core.search.parse import SearchParser
from toro_core.search.patience import patience
from toro_core.search.plan import SearchPlan
from toro_core.search.query import InvalidSearch, Parameter
from toro_core.search.values import split_escaped
from toro_core.searching import Found, Search, Searcher
from toro_core.storage import Key, Page, Storage, Stored, Write
from toro_core.testing.memory import MemoryStorage

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
EVERYTHING = ("system/*.rs",)


def ref(name: str) -> dict[str, Any]:
    return {"reference": name}


def observation(id_: str, patient: str, category: str, **more: Any) -> dict[str, Any]:
    system, _, _ = LAB.partition("|")
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [{"coding": [{"system": system, "code": category}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": more.pop("code", "1")}]},
        "subject": ref(patient),
        **more,
    }


RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "clinic", "name": "Clinic", "partOf": ref("Organization/trust")},
    {"resourceType": "Organization", "id": "trust", "name": "Trust", "partOf": ref("Organization/crown")},
    {"resourceType": "Organization", "id": "crown", "name": "Crown"},
    {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Who"}]},
    {
        "resourceType": "Patient",
        "id": "ann",
        "name": [{"family": "Ames", "given": ["Ann"]}],
        "birthDate": "1980-01-01",
        "gender": "female",
        "generalPractitioner": [ref("Practitioner/doc")],
        "managingOrganization": ref("Organization/clinic"),
        "contact": [{"name": {"family": "Kin"}}],
        "text": {"status": "generated", "div": "<div>Ann</div>"},
    },
    {
        "resourceType": "Patient",
        "id": "bob",
        "name": [{"family": "Ames", "given": ["Bob"]}],
        "birthDate": "1970-01-01",
        "managingOrganization": ref("Organization/trust"),
    },
    {"resourceType": "Patient", "id": "cat", "name": [{"family": "Zed"}], "gender": "female"},
    {
        "resourceType": "Group",
        "id": "all",
        "type": "person",
        "actual": True,
        "member": [{"entity": ref("Patient/ann")}],
    },
    observation("o1", "Patient/ann", "laboratory", effectiveDateTime="2024-01-01", performer=[ref("Practitioner/doc")]),
    observation("o2", "Patient/ann", "vital-signs", effectiveDateTime="2024-02-01"),
    observation("o3", "Patient/bob", "laboratory", effectiveDateTime="2024-03-01", code="2"),
    observation("o4", "Group/all", "laboratory"),
    {
        "resourceType": "Provenance",
        "id": "p1",
        "target": [ref("Observation/o1"), ref("Patient/ann")],
        "recorded": "2024",
    },
    {"resourceType": "Provenance", "id": "p2", "target": [ref("Provenance/p1")], "recorded": "2024"},
    {
        "resourceType": "List",
        "id": "l",
        "status": "current",
        "mode": "working",
        "entry": [{"item": ref("Patient/bob")}],
    },
]


@dataclass
class World:
    """A storage with some resources and a searcher on it."""

    storage: Storage
    extractor: Extractor
    searcher: Searcher

    async def store(self, *resources: dict[str, Any]) -> None:
        await self.storage.commit(
            [
                Write(
                    key=Key(resource["resourceType"], resource["id"]),
                    body=body(resource, resource["id"]),
                    rows=self.extractor.rows(resource),
                )
                for resource in resources
            ]
        )

    async def found(
        self, query: str, *scopes: str, exposure: Sequence[str] | None = None, lenient: bool = False, token: str = ""
    ) -> Found:
        caller = Caller(client_id="me", grants=grants_of(scopes or EVERYTHING))
        path, _, text = query.partition("?")
        *compartment, type_ = path.split("/")
        search = Search(
            type=type_.removesuffix("*"),
            compartment=Key(*compartment) if compartment else None,
            parameters=tuple(parameters(text)),
            lenient=lenient,
            readable=None if exposure is None else frozenset(exposure),
            searchable=None if exposure is None else frozenset(exposure),
        )
        return await (self.searcher.follow(caller, search, token) if token else self.searcher.search(caller, search))

    async def ids(self, query: str, *scopes: str) -> list[str]:
        return sorted(stored.key.id for stored in (await self.found(query, *scopes)).matches)

    async def included(self, query: str, *scopes: str, exposure: Sequence[str] | None = None) -> list[str]:
        return sorted(str(stored.key) for stored in (await self.found(query, *scopes, exposure=exposure)).included)

    async def problem(self, query: str, *scopes: str) -> str:
        with pytest.raises(InvalidSearch) as caught:
            await self.found(query, *scopes)
        return " ".join(issue.diagnostics for issue in caught.value.issues)


def parameters(text: str) -> list[Parameter]:
    found = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        code, _, modifier = name.partition(":")
        found.append(Parameter(code=code, modifier=modifier, values=tuple(split_escaped(value, ","))))
    return found


def world_on(storage: Storage, extractor: Extractor) -> World:
    parser = SearchParser(extractor)
    access = Access(parser.constraint)
    tokens = PageTokens(storage)
    return World(storage, extractor, Searcher(storage, extractor, parser, access, tokens, page_size=50))


@pytest.fixture(params=["joins", "no joins", "sqlite", "ndjson"])
async def world(request: pytest.FixtureRequest, extractor: Extractor, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        storage: Storage
        if request.param in {"sqlite", "ndjson"}:
            storage = await stack.enter_async_context(open_storage(f"{request.param}:///{tmp_path}/toro"))
        else:
            storage = MemoryStorage(without=() if request.param == "joins" else ("joins",))
        made = world_on(storage, extractor)
        await made.store(*RESOURCES)
        yield made


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Observation?subject:Patient.name=ames", "o1 o2 o3"),
        ("Observation?patient.name=ann", "o1 o2"),
        ("Observation?patient.name:exact=Ann", "o1 o2"),
        ("Observation?patient.name:exact=ann", ""),
        ("Observation?patient._id=bob", "o3"),
        ("Observation?subject:Group.type=person", "o4"),
        ("Observation?subject.gender=female", "o1 o2"),
        ("Observation?patient.general-practitioner.family=who", "o1 o2"),
        ("Observation?patient.general-practitioner:Practitioner.family=who", "o1 o2"),
        ("Observation?patient.organization.name=trust", "o3"),
        ("Observation?patient.organization.partof.name=trust", "o1 o2"),
        ("Observation?patient.organization.partof.partof.name=crown", "o1 o2"),
        ("Observation?patient.birthdate=lt1975", "o3"),
        ("Observation?patient.name=zed", ""),
        ("Observation?patient.name=ames&category=laboratory", "o1 o3"),
        ("Observation?patient.gender:missing=true", "o3"),
        ("Patient?_has:Observation:patient:code=1", "ann"),
        ("Patient?_has:Observation:patient:code=1,2", "ann bob"),
        ("Patient?_has:Observation:subject:date=ge2024-03-01", "bob"),
        ("Patient?_has:Observation:patient:_has:Provenance:target:_id=p1", "ann"),
        ("Patient?_has:Group:member:_id=all", "ann"),
        ("Organization?_has:Patient:organization:family=ames", "clinic trust"),
        ("Practitioner?_has:Observation:performer:patient.name=ames", "doc"),
        ("Observation?patient._has:Group:member:_id=all", "o1 o2"),
        ("Patient?_list=l", "bob"),
        ("Patient?_list=other", ""),
        ("Patient?gender:not=female", "bob"),
    ],
)
async def test_references_are_followed_in_both_directions(query: str, ids: str, world: World) -> None:
    assert await world.ids(query) == ids.split()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("Observation?subject:Foo.name=x", "does not refer to"),
        ("Observation?code.name=x", "no reference of Observation"),
        ("Observation?patient.foo=x", "not supported for Patient"),
        ("Observation?focus.name=x", "has to name the type"),
        ("Observation?patient.=x", "not complete"),
        ("Patient?_has:Observation:patient=x", "not complete"),
        ("Patient?_has:Foo:patient:code=x", "no FHIR resource type"),
        ("Patient?_has:Observation:device:code=x", "does not refer to Patient"),
        ("Patient?_has:Observation:code:code=x", "no reference of Observation"),
        ("Organization?" + "partof." * 9 + "name=x", "more than 8 references"),
        ("Patient?_has:Group:member:" * 1 + "_has:Group:member:" * 9 + "_id=x", "more than 8"),
        ("Patient?_list=$current-problems", "functional"),
    ],
)
async def test_a_chain_that_leads_nowhere_is_refused(query: str, said: str, world: World) -> None:
    assert said in await world.problem(query)


async def test_a_chain_through_many_types_is_refused_before_it_costs_anything(world: World) -> None:
    started = time.monotonic()
    await world.problem("Observation?" + "performer." * 8 + "name=x")
    assert time.monotonic() - started < 5


async def test_a_chain_that_leads_to_too_many_resources_is_too_costly(extractor: Extractor) -> None:
    storage = MemoryStorage(without=["joins"])
    world = world_on(storage, extractor)
    await world.store(*RESOURCES)
    world.searcher._joins = Joins(storage, extractor, most=1)
    assert await world.ids("Observation?patient.name=ann") == ["o1", "o2"]
    with pytest.raises(TooCostly):
        await world.found("Observation?patient.name=ames")
    with pytest.raises(TooCostly):
        await world.found("Patient?_has:Observation:patient:status=final")


@pytest.mark.parametrize(
    ("query", "scopes", "needed"),
    [
        ("Observation?patient.name=a", "system/Observation.rs", "system/Patient.rs"),
        ("Observation?patient.name=a", "system/Observation.rs system/Patient.r", "system/Patient.rs"),
        ("Observation?patient.name=a", "system/Observation.rs system/Patient.s", "system/Patient.rs"),
        ("Observation?subject.name=a", "system/Observation.rs", "rs"),
        (
            "Observation?patient.organization.name=a",
            "system/Observation.rs system/Patient.rs",
            "system/Organization.rs",
        ),
        ("Patient?_has:Observation:patient:code=1", "system/Patient.rs", "system/Observation.rs"),
        ("Patient?_list=l", "system/Patient.rs", "system/List.rs"),
        ("Patient/ann/Observation", "system/Patient.rs", "system/Observation.s"),
        ("?_type=Patient,Observation", "system/Patient.rs", "system/Observation.s"),
    ],
)
async def test_what_a_search_touches_needs_a_grant(query: str, scopes: str, needed: str, world: World) -> None:
    with pytest.raises(Forbidden) as caught:
        await world.found(query, *scopes.split())
    assert caught.value.scope.endswith(needed)


async def test_chains_see_only_what_granular_grants_show(world: World) -> None:
    scopes = ("system/Patient.rs", f"system/Observation.rs?category={LAB}")
    assert await world.ids("Patient?_has:Observation:patient:date=2024-02-01", *scopes) == []
    assert await world.ids("Patient?_has:Observation:patient:date=2024-01-01", *scopes) == ["ann"]
    scopes = ("system/Observation.rs", "system/Patient.rs?gender=female")
    assert await world.ids("Observation?patient.name=ames", *scopes) == ["o1", "o2"]


async def test_a_chain_looks_only_at_types_that_are_granted_and_says_so(world: World) -> None:
    found = await world.found(
        "Observation?subject.identifier:missing=true", "system/Observation.rs", "system/Patient.rs"
    )
    assert sorted(stored.key.id for stored in found.matches) == ["o1", "o2", "o3"]
    assert any("does not look at" in issue.diagnostics and "Group" in issue.diagnostics for issue in found.issues)


@pytest.mark.parametrize(
    ("query", "included"),
    [
        ("Observation?_include=Observation:patient", "Patient/ann Patient/bob"),
        ("Observation?_include=Observation:subject", "Group/all Patient/ann Patient/bob"),
        ("Observation?_include=Observation:subject:Group", "Group/all"),
        ("Observation?_id=o1&_include=Observation:performer", "Practitioner/doc"),
        ("Observation?_id=o1&_include=*", "Patient/ann Practitioner/doc"),
        ("Observation?_id=o1&_include=Observation:*", "Patient/ann Practitioner/doc"),
        ("Observation?_id=o1&_include=Observation:*:Patient", "Patient/ann"),
        ("Observation?_id=o1&_include=Observation:patient&_include=Patient:organization", "Patient/ann"),
        (
            "Observation?_id=o1&_include=Observation:patient&_include:iterate=Patient:organization",
            "Organization/clinic Patient/ann",
        ),
        (
            "Patient?_id=ann&_include=Patient:organization&_include:iterate=Organization:partof",
            "Organization/clinic Organization/crown Organization/trust",
        ),
        ("Observation?_id=o1&_revinclude=Provenance:target", "Provenance/p1"),
        (
            "Observation?_id=o1&_revinclude=Provenance:target&_revinclude:iterate=Provenance:target",
            "Provenance/p1 Provenance/p2",
        ),
        ("Observation?_id=o1&_revinclude=Provenance:*", "Provenance/p1"),
        ("Patient?_id=ann&_revinclude=Observation:patient", "Observation/o1 Observation/o2"),
        (
            "Patient?_id=ann&_revinclude=Observation:patient&_revinclude=Provenance:target",
            "Observation/o1 Observation/o2 Provenance/p1",
        ),
        ("Organization?_include=Organization:partof", ""),
        ("Observation?_id=none&_include=*", ""),
        ("Observation?_count=0&_include=*", ""),
    ],
)
async def test_what_belongs_to_the_matches_is_included_once(query: str, included: str, world: World) -> None:
    assert await world.included(query) == included.split()


async def test_what_was_deleted_is_not_included(world: World) -> None:
    await world.storage.commit([Write(key=Key("Patient", "ann"), body=None)])
    assert await world.included("Observation?_include=Observation:patient") == ["Patient/bob"]


async def test_included_types_need_a_grant_and_exposure_and_what_is_left_out_is_named(world: World) -> None:
    query = "Observation?_include=Observation:subject&_revinclude=Provenance:target"
    found = await world.found(query, "system/Observation.rs", "system/Patient.rs", "system/Provenance.r")
    assert sorted(str(stored.key) for stored in found.included) == ["Patient/ann", "Patient/bob"]
    said = sorted(issue.diagnostics for issue in found.issues)
    assert ["Group resources were not included" in said[0], "Provenance resources" in said[1]] == [True, True]
    found = await world.found(query, exposure=["Observation", "Group"])
    assert [str(stored.key) for stored in found.included] == ["Group/all"]
    assert sum("cannot be read here" in issue.diagnostics for issue in found.issues) == 2


async def test_granular_grants_hold_for_what_is_included(world: World) -> None:
    scopes = ("system/Patient.rs?gender=female", f"system/Observation.rs?category={LAB}")
    assert await world.included("Observation?_include=Observation:patient", *scopes) == ["Patient/ann"]
    assert await world.included("Patient?_revinclude=Observation:patient", *scopes) == ["Observation/o1"]


async def test_a_page_takes_in_no_more_than_its_limit_and_says_so(world: World) -> None:
    many = [observation(f"m{number}", "Patient/cat", "laboratory") for number in range(1200)]
    await world.store(*many)
    found = await world.found("Patient?_id=cat&_revinclude=Observation:patient")
    assert len(found.included) == len({stored.key for stored in found.included}) == 1000
    assert [issue.severity for issue in found.issues if "Not everything" in issue.diagnostics] == ["warning"]


async def test_a_page_takes_in_no_more_bytes_than_its_limit(world: World) -> None:
    big = [observation(f"m{n}", "Patient/cat", "laboratory", note=[{"text": "x" * 1_000_000}]) for n in range(5)]
    await world.store(*big)
    found = await world.found("Patient?_id=cat&_revinclude=Observation:patient")
    assert sum(len(stored.json) for stored in (*found.matches, *found.included)) < 4 << 20
    assert len(found.included) == 3


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("family,birthdate", "bob ann cat"),
        ("family,-birthdate", "ann bob cat"),
        ("-family,given", "cat ann bob"),
        ("birthdate", "bob ann cat"),
        ("-birthdate", "ann bob cat"),
        ("name", "ann bob cat"),
        ("-_id", "cat bob ann"),
        ("gender,-_id", "cat ann bob"),
    ],
)
async def test_the_order_goes_by_several_keys_with_missing_ones_last(sort: str, ids: str, world: World) -> None:
    seen, token = [], ""
    while True:
        found = await world.found(f"Patient?_count=1&_sort={sort}" if not token else "Patient", token=token)
        seen += [stored.key.id for stored in found.matches]
        token = found.next_page_token
        if not token:
            break
    assert seen == ids.split()


async def test_pages_carry_chains_and_includes(world: World) -> None:
    query = "Observation?patient.name=ames&_include=Observation:patient&_sort=_id&_count=2"
    first = await world.found(query)
    assert [stored.key.id for stored in first.matches] == ["o1", "o2"]
    assert [stored.key.id for stored in first.included] == ["ann"]
    assert first.total == 3
    second = await world.found("Observation", token=first.next_page_token)
    assert [stored.key.id for stored in second.matches] == ["o3"]
    assert [stored.key.id for stored in second.included] == ["bob"]
    assert second.applied == first.applied
    with pytest.raises(Forbidden):
        await world.found("Observation", "system/Observation.rs", token=first.next_page_token)
    with pytest.raises(InvalidPageToken):
        await world.found("Patient/ann/Observation", token=first.next_page_token)


async def walk(world: World, query: str, *scopes: str) -> list[str]:
    found = await world.found(query, *scopes)
    names = [str(stored.key) for stored in found.matches]
    while found.next_page_token:
        assert found.matches
        found = await world.found(query.partition("?")[0], *scopes, token=found.next_page_token)
        names += [str(stored.key) for stored in found.matches]
    return names


@pytest.mark.parametrize(
    "query",
    [
        "Observation?_count=1&_sort=-date",
        "Observation?_count=1&_sort=code,-_id",
        "Patient/ann/*?_count=2",
        "?_type=Organization,Patient&_count=2",
    ],
)
async def test_pages_are_walked_back_the_way_they_came(query: str, world: World) -> None:
    path = query.partition("?")[0]
    pages = [await world.found(query)]
    assert pages[0].previous_page_token == ""
    while pages[-1].next_page_token:
        pages.append(await world.found(path, token=pages[-1].next_page_token))
    assert len(pages) > 2
    page = pages[-1]
    for expected in reversed(pages[:-1]):
        page = await world.found(path, token=page.previous_page_token)
        assert [stored.key for stored in page.matches] == [stored.key for stored in expected.matches]
        assert page.applied == expected.applied
    assert page.previous_page_token == ""
    again = await world.found(path, token=page.next_page_token)
    assert [stored.key for stored in again.matches] == [stored.key for stored in pages[1].matches]


async def test_from_a_page_gone_back_to_a_walk_meets_every_resource_once_while_others_are_written(world: World) -> None:
    steady = [observation(f"s{n:02}", "Patient/cat", "laboratory", code=f"{n % 3}") for n in range(20)]
    await world.store(*steady)
    page = first = await world.found("Observation?patient=cat&_sort=code&_count=4")
    for _ in range(3):
        page = await world.found("Observation", token=page.next_page_token)
    for turn in range(2):
        await world.store(observation(f"new{turn}", "Patient/cat", "laboratory", code=f"{turn}"))
        page = await world.found("Observation", token=page.previous_page_token)
    seen = [stored.key.id for stored in (*first.matches, *page.matches)]
    while page.next_page_token:
        await world.store(observation(f"new{len(seen)}", "Patient/cat", "laboratory", code="1"), steady[len(seen) % 20])
        page = await world.found("Observation", token=page.next_page_token)
        seen += [stored.key.id for stored in page.matches]
    assert sorted(id_ for id_ in seen if id_.startswith("s")) == [f"s{n:02}" for n in range(20)]


@pytest.mark.parametrize("count", [1, 2, 3, 50])
async def test_a_compartment_is_searched_by_type_or_whole(count: int, world: World) -> None:
    assert sorted(await walk(world, f"Patient/ann/Observation?_count={count}")) == ["Observation/o1", "Observation/o2"]
    assert await walk(world, f"Patient/ann/Observation?category=laboratory&_count={count}") == ["Observation/o1"]
    names = await walk(world, f"Patient/ann/*?_count={count}")
    assert sorted(names) == ["Group/all", "Observation/o1", "Observation/o2", "Patient/ann", "Provenance/p1"]
    assert sorted(await walk(world, f"Patient/ann/*?_type=Provenance,Group&_count={count}")) == [
        "Group/all",
        "Provenance/p1",
    ]
    assert sorted(await walk(world, f"Patient/ann/*?_count={count}", "system/Group.rs", "system/Patient.rs")) == [
        "Group/all",
        "Patient/ann",
    ]


async def test_a_compartment_says_which_types_it_left_out(world: World) -> None:
    found = await world.found("Patient/ann/*", "system/Group.rs", "system/Patient.rs")
    assert any("does not allow to search" in issue.diagnostics for issue in found.issues)
    assert found.total == 2


@pytest.mark.parametrize("count", [1, 2, 50])
async def test_the_system_is_searched_type_by_type(count: int, world: World) -> None:
    names = await walk(world, f"?_type=Practitioner,Patient&name=a,w&_count={count}")
    assert sorted(names) == ["Patient/ann", "Patient/bob", "Practitioner/doc"]
    assert names[0] == "Practitioner/doc"
    assert (await world.found(f"?_type=Practitioner,Patient&_count={count}")).total == 4


@pytest.mark.parametrize("types", ["Patient,Observation", "Observation,Patient"])
async def test_what_one_of_several_types_ignores_is_ignored_on_every_page_and_said(types: str, world: World) -> None:
    query = f"?_type={types}&birthdate=1980&_count=2"
    found = await world.found(query, lenient=True)
    assert [parameter.code for parameter in found.applied] == ["_type", "_count"]
    ((issue),) = [issue for issue in found.issues if "birthdate" in issue.diagnostics]
    assert "not supported for Observation" in issue.diagnostics
    assert found.total == 7
    names = [str(stored.key) for stored in found.matches]
    while found.next_page_token:
        found = await world.found("", token=found.next_page_token)
        names += [str(stored.key) for stored in found.matches]
    assert len(names) == len(set(names)) == 7


async def test_what_all_of_several_types_take_is_applied_beside_what_one_ignores(world: World) -> None:
    found = await world.found("?_type=Observation,Patient&birthdate=1980&_id=ann,o1", lenient=True)
    assert [str(stored.key) for stored in found.matches] == ["Observation/o1", "Patient/ann"]


@pytest.mark.parametrize(
    ("query", "included"),
    [
        ("?_type=Practitioner,Observation&_id=doc,o1&_include=*", "Patient/ann"),
        ("?_type=Observation,Practitioner&_id=doc,o1&_include=*", "Patient/ann"),
        ("?_type=Group,Observation&_id=all,o3&_include=*", "Patient/ann Patient/bob"),
        ("?_type=Patient,Practitioner&_id=ann,doc&_revinclude=Observation:patient", "Observation/o1 Observation/o2"),
        ("?_type=Practitioner,Patient&_id=ann,doc&_revinclude=Observation:performer", "Observation/o1"),
    ],
)
async def test_what_belongs_to_any_of_several_types_is_included(query: str, included: str, world: World) -> None:
    assert await world.included(query) == included.split()


async def test_elements_of_any_of_several_types_are_shown(world: World) -> None:
    found = await world.found("?_type=Observation,Patient&_id=ann,o1&_elements=birthDate")
    shown = [json.loads(stored.json) for stored in found.matches]
    assert ["birthDate" in resource for resource in shown] == [False, True]
    assert all("name" not in resource and "category" not in resource for resource in shown)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "needs the parameter `_type`"),
        ("?_type=Foo", "no FHIR resource types"),
        ("?_type=Patient,Observation&_sort=_id", "one type at a time"),
        ("?_type=Patient,Observation&name=x", "not supported for Observation"),
        ("Patient?_type=Observation", "names other types"),
        ("?_type:not=Patient", "`_type` supports no modifiers"),
        ("Patient?_type:not=Observation", "`_type` supports no modifiers"),
        ("?_type=Patient&_type=Observation", "`_type` is given more than once"),
        ("?_type=Patient,Observation&_elements=foo", "does not have"),
        ("?_type=Patient,Practitioner&_revinclude=Observation:device", "does not refer to"),
        ("Encounter/1/Observation", "compartments of patients"),
        ("Patient/1/Organization", "no patient's compartment"),
    ],
)
async def test_a_search_in_no_type_has_its_limits(query: str, said: str, world: World) -> None:
    assert said in await world.problem(query)


@pytest.mark.parametrize(
    ("parameter", "kept"),
    [
        ("_summary=true", "resourceType id name birthDate gender managingOrganization meta"),
        ("_summary=text", "resourceType id text meta"),
        (
            "_summary=data",
            "resourceType id name birthDate gender generalPractitioner managingOrganization contact meta",
        ),
        ("_elements=gender,contact", "resourceType id gender contact meta"),
        (
            "_summary=false",
            "resourceType id name birthDate gender generalPractitioner managingOrganization contact text meta",
        ),
    ],
)
async def test_parts_of_resources_are_shown_and_marked(parameter: str, kept: str, world: World) -> None:
    found = await world.found(f"Patient?_id=ann&{parameter}")
    resource = json.loads(found.matches[0].json)
    assert set(resource) == set(kept.split())
    tags = [tag["code"] for tag in resource["meta"].get("tag", ())]
    assert tags == ([] if parameter == "_summary=false" else ["SUBSETTED"])
    assert found.applied[-1] == parameters(parameter)[0]


async def test_a_summary_reaches_into_backbone_elements_and_data_types(world: World) -> None:
    attached = {"contentType": "text/plain", "data": "eHg=", "title": "t"}
    related = [{"code": "replaces", "target": ref("DocumentReference/2")}]
    await world.store(
        {
            "resourceType": "DocumentReference",
            "id": "1",
            "status": "current",
            "_status": {"id": "s"},
            "relatesTo": related,
            "content": [{"attachment": attached, "format": {"code": "f"}}],
            "context": {"encounter": [ref("Encounter/1")]},
        }
    )
    resource = json.loads((await world.found("DocumentReference?_summary=true")).matches[0].json)
    assert resource["content"][0]["attachment"] == {"contentType": "text/plain", "title": "t"}
    assert resource["relatesTo"] == related
    assert "_status" in resource


async def test_a_summary_of_count_is_a_total_alone(world: World) -> None:
    found = await world.found("Patient?_summary=count")
    assert (list(found.matches), found.total) == ([], 3)
    found = await world.found("Patient?_count=0")
    assert (list(found.matches), found.total) == ([], 3)
    assert (await world.found("Patient?_summary=count&_total=none")).total == 3


async def test_elements_are_cut_from_matches_alone(world: World) -> None:
    found = await world.found("Observation?_id=o1&_elements=status&_include=Observation:patient")
    assert "category" not in json.loads(found.matches[0].json)
    assert "name" in json.loads(found.included[0].json)


async def test_a_status_that_no_resource_can_have_is_named_and_the_others_found(world: World) -> None:
    found = await world.found("Observation?status=final,finished")
    assert len(found.matches) == 4
    ((issue),) = found.issues
    assert (issue.severity, "2" in issue.diagnostics) == ("warning", True)
    assert (await world.found("Observation?status=final,amended")).issues == ()


async def test_a_search_explains_itself(world: World) -> None:
    caller = Caller(client_id="me", grants=grants_of(EVERYTHING))
    search = Search(type="Observation", parameters=tuple(parameters("patient.name=ames&date=ge2024&_sort=-code,date")))
    text = await world.searcher.explain(caller, search)
    assert "family starts with 'ames'" in text or "subject refers to Patient/ann" in text
    assert "date ge [2024-01-01T00:00:00Z, 2025-01-01T00:00:00Z)" in text
    assert "by code descending, then by its own date, else its last update ascending" in text


class _Counting(MemoryStorage):
    """Counts the bytes that are read to be included."""

    bytes_read = 0

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        found = await super().read_many(keys)
        self.bytes_read += sum(len(stored.json) for stored in found if stored is not None)
        return found


async def test_little_more_is_read_than_a_page_takes_in(extractor: Extractor) -> None:
    storage = _Counting()
    world = world_on(storage, extractor)
    names = [f"p{n}" for n in range(150)]
    large: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": name, "contact": [{"name": {"text": "x" * 200_000}}]} for name in names
    ]
    await world.store(*large, *(observation(f"o-{name}", f"Patient/{name}", "laboratory") for name in names))
    found = await world.found("Observation?_count=150&_include=Observation:patient")
    assert sum(len(stored.json) for stored in (*found.matches, *found.included)) < 4 << 20
    assert len(found.included) > 10
    assert storage.bytes_read < 8 << 20
    assert any("Not everything" in issue.diagnostics for issue in found.issues)


class _Slow(MemoryStorage):
    """Looks at every resource for as long as it may."""

    stopped = 0

    async def search(self, plan: SearchPlan) -> Page:
        try:
            await asyncio.sleep(0.5)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return await super().search(plan)


async def test_a_search_of_many_values_is_stopped_where_it_takes_too_long(
    extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = _Slow()
    world = world_on(storage, extractor)
    await world.store(*RESOURCES)
    monkeypatch.setattr("toro_core.searching.patience", partial(patience, seconds=0.05))
    many = "Observation?_count=1&code=1," + ",".join(map(str, range(100, 200)))
    with pytest.raises(TooCostly, match="many values"):
        await world.found(many)
    with pytest.raises(TooCostly, match="long chain"):
        await world.found("Observation?patient.organization.partof.name=x")
    assert storage.stopped == 2
    assert len(await walk(world, "Observation?_count=1&code=1,2,3")) == 4, "a search of few values takes its time"
    monkeypatch.undo()
    token = (await world.found(many)).next_page_token
    monkeypatch.setattr("toro_core.searching.patience", partial(patience, seconds=0.05))
    with pytest.raises(TooCostly, match="many values"):
        await world.found("Observation", token=token)


async def test_a_time_out_of_another_kind_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with patience([Parameter(code="code", values=("1",) * 100)]):
            raise TimeoutError


@pytest.mark.parametrize(
    "query",
    [
        "Patient?name=" + "%25_'\"\\(.*)%2B" * 100,
        "Patient?name=(a%2B)%2B%24",
        "Patient?name:contains=" + "%EF%B7%BA" * 100_000,
        "Patient?name:contains=%00",
        "Patient?identifier=" + ",".join(str(number) for number in range(9999)),
        "Patient?_count=99999999999999999999999",
        "Patient?birthdate=" + "9" * 10000,
        "Observation?value-quantity=" + "9" * 60 + "e999",
        "Observation?value-quantity=1e-999|http://unitsofmeasure.org|" + "((((" * 25,
        "Observation?value-quantity=1|http://unitsofmeasure.org|" + "m9." * 33 + "m",
        "Observation?code-value-quantity=" + "$" * 1000,
        "Patient?" + "&".join(["_include=Patient:link"] * 2000),
        "Patient?" + "name=a&" * 5000,
        "Observation?date=ap0001",
        "Observation?" + "subject." * 5000 + "name=x",
    ],
)
async def test_whatever_is_asked_ends_soon_in_an_answer_or_a_refusal(query: str, world: World) -> None:
    started = time.monotonic()
    with suppress(InvalidSearch):
        await world.found(query)
    assert time.monotonic() - started < 5
