"""Whatever the grants and whatever the call: nothing outside the grants comes back, and what is hidden looks absent.

The oracle reads the JSON by itself and shares nothing with search or access.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toro_core.assembly import service_on
from toro_core.auth.clients import Clients
from toro_core.auth.signer import new_client_key, read_private_key, sign_assertion
from toro_core.local import LocalTransport
from toro_core.plugins import open_storage
from toro_core.settings import Settings
from toro_core.storage import Key, Storage, Write
from toro_core.v1 import (
    CallError,
    CommitBundleRequest,
    Content,
    Core,
    CreateResourceRequest,
    DeleteResourceRequest,
    ExchangeAssertionRequest,
    FetchEverythingRequest,
    FetchResourceRequest,
    GenerateDocumentRequest,
    GetResourceRequest,
    ListVersionsRequest,
    Metadata,
    PatchFormat,
    PatchResourceRequest,
    Resource,
    SearchParameter,
    SearchResourcesRequest,
    UpdateResourceRequest,
    WatchResourcesRequest,
)

SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-category"
CATEGORIES = ("laboratory", "vital-signs")
STATUSES = ("final", "amended")
PATIENTS = ("Patient/p1", "Patient/p2")
COMPOSITIONS = ["Composition/c1", "Composition/c2"]
IDS = [f"Observation/o{number}" for number in range(8)] + [*PATIENTS, "Observation/absent", "Patient/absent"]
CONSTRAINTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    f"category={SYSTEM}|laboratory": lambda r: "laboratory" in codes(r),
    "category=vital-signs": lambda r: "vital-signs" in codes(r),
    f"category={SYSTEM}|laboratory,{SYSTEM}|vital-signs": lambda r: bool(codes(r)),
    "status=final": lambda r: r.get("status") == "final",
    "patient=Patient/p1": lambda r: r.get("subject") == {"reference": "Patient/p1"},
    "status=amended&patient=Patient/p2": lambda r: (
        r.get("status") == "amended" and r.get("subject") == {"reference": "Patient/p2"}
    ),
    "gender=female": lambda r: r.get("gender") == "female",
    "_id=o1,p1": lambda r: r.get("id") in ("o1", "p1"),
}


def codes(resource: dict[str, Any]) -> list[str]:
    return [coding["code"] for one in resource.get("category", ()) for coding in one["coding"]]


def observation(id: str, category: str, status: str, patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": status,
        "category": [{"coding": [{"system": SYSTEM, "code": category}]}],
        "code": {"text": "x"},
        "subject": {"reference": patient},
    }


def composition(id: str, patient: str, *entries: str) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": id,
        "status": STATUSES[0],
        "type": {"text": "x"},
        "subject": {"reference": patient},
        "date": "2024",
        "author": [{"reference": patient}],
        "title": "x",
        "section": [{"title": "x", "entry": [{"reference": name} for name in entries]}],
    }


@dataclass(repr=False)
class World:
    """A core with a known content, and every version that was ever stored."""

    storage: Storage
    core: Core
    settings: Settings
    key: bytes
    truth: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict, repr=False)

    async def come_in(self, *scopes: str) -> tuple[Metadata, tuple[str, ...]]:
        """Return the metadata of a caller with these scopes, and which of them count."""
        url = self.settings.token_url()
        assertion = sign_assertion(read_private_key(self.key), client_id="partner", token_url=url)
        answer = await self.core.ExchangeAssertion(
            ExchangeAssertionRequest(assertion=assertion, scopes=scopes, token_url=url)
        )
        return (("authorization", f"Bearer {answer.access_token}"),), tuple(answer.scopes)

    def note(self, resource: Resource) -> None:
        self.truth[resource.name, resource.etag] = json.loads(resource.json)


@asynccontextmanager
async def made(folder: Path) -> AsyncIterator[World]:
    options = Settings(storage=f"sqlite:///{folder}/toro.db", base_url="https://fhir.example.org")
    async with open_storage(options.storage) as storage:
        private, public = new_client_key()
        jwks = json.dumps({"keys": [public]}).encode()
        await Clients(storage).add(name="Partner", scopes=("system/*.cruds",), jwks=jwks, client_id="partner")
        core = Core(LocalTransport(service_on(storage, options)))
        world = World(storage, core, options, json.dumps(private).encode())
        await fill(world)
        yield world


async def fill(world: World) -> None:
    """Store patients and Observations: of one category throughout, moved between them, and deleted at either end."""
    metadata, _ = await world.come_in("system/*.cruds")
    put: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": name.partition("/")[2], "gender": gender}
        for name, gender in zip(PATIENTS, ("female", "male"), strict=True)
    ]
    for number, name in enumerate(IDS[:8]):
        for moved in ((0,), (1,), (0, 1), (1, 0))[number % 4]:
            id, patient = name.partition("/")[2], PATIENTS[number // 4]
            put.append(observation(id, CATEGORIES[moved], STATUSES[number % 2], patient))
    put.append(composition("c1", PATIENTS[0], IDS[0], IDS[1]))
    put.append(composition("c2", PATIENTS[1], IDS[5]))
    for resource in put:
        await write(world, metadata, f"{resource['resourceType']}/{resource['id']}", resource)
    for name in IDS[4:8:3]:
        await world.storage.commit([Write(key=Key(*name.split("/")), body=None)])


async def write(world: World, metadata: Metadata, name: str, resource: dict[str, Any]) -> Resource:
    request = UpdateResourceRequest(
        name=name, json=json.dumps(resource).encode(), allow_missing=True, content=Content.CONTENT_FULL
    )
    stored = (await world.core.UpdateResource(request, metadata=metadata)).resource
    world.note(stored)
    return stored


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, World]]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(stack.enter_async_context(made(tmp_path_factory.mktemp("leaks"))))
        yield runner, world
        runner.run(stack.aclose())


def allows(scope: str, permission: str, resource: dict[str, Any]) -> bool:
    """Say whether a scope allows this with that content, by reading both plainly."""
    type_, _, rest = scope.removeprefix("system/").partition(".")
    permissions, _, constraint = rest.partition("?")
    if type_ not in ("*", resource["resourceType"]) or permission not in permissions:
        return False
    return not constraint or CONSTRAINTS[constraint](resource)


def allowed(scopes: tuple[str, ...], permission: str, resource: dict[str, Any]) -> bool:
    return any(allows(scope, permission, resource) for scope in scopes)


scopes_given = st.lists(
    st.builds(
        "system/{}.{}{}".format,
        st.sampled_from(["Observation", "Observation", "Patient", "*"]),
        st.sampled_from(["r", "s", "rs", "cu", "cruds", "cruds"]),
        st.sampled_from(["", *(f"?{constraint}" for constraint in CONSTRAINTS)]),
    ),
    min_size=1,
    max_size=3,
)
searches = st.dictionaries(
    st.sampled_from(["category", "status", "patient", "_id", "_count", "_sort", "_total", "_lastUpdated"]),
    st.none(),
    max_size=3,
).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {
            code: st.sampled_from(
                {
                    "category": [*CATEGORIES, f"{SYSTEM}|"],
                    "status": [*STATUSES],
                    "patient": [*PATIENTS],
                    "_id": ["o0", "o1", "o4"],
                    "_count": ["0", "1", "2"],
                    "_sort": ["_id", "-_lastUpdated", "status"],
                    "_total": ["accurate", "none"],
                    "_lastUpdated": ["ge2020"],
                }[code]
            )
            for code in chosen
        }
    )
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "_id": st.sampled_from(["o0", "o1", "o2", "o6", "absent"]),
        "status": st.sampled_from(STATUSES),
        "category": st.sampled_from(CATEGORIES),
    },
).filter(bool)
READS = [
    "Observation/o1",
    "Observation/o2/_history/1",
    "Observation/o3/_history",
    "Observation/_history",
    "Patient/p1",
    "Patient/_history?_since=2020",
    "Patient?_id=p2",
    "Observation?status=final",
]
calls = st.one_of(
    st.tuples(st.just("get"), st.sampled_from(IDS), st.sampled_from(["", "1", "2", "3"])),
    st.tuples(st.just("fetch"), st.sampled_from(IDS), st.sampled_from(["", "1", "2"])),
    st.tuples(st.just("everything"), st.sampled_from([*PATIENTS, "Patient/absent"]), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("document"), st.sampled_from([*COMPOSITIONS, "Composition/absent"])),
    st.tuples(st.just("versions"), st.sampled_from(IDS), st.sampled_from([1, 1, 2, 0])),
    st.tuples(st.just("search"), st.sampled_from(["Observation", "Patient"]), searches),
    st.tuples(st.just("search"), st.just("Observation"), st.just({"_count": "1"})),
    st.tuples(
        st.just("update"),
        st.sampled_from(IDS[:8]),
        st.sampled_from(CATEGORIES),
        st.sampled_from(["", 'W/"1"', 'W/"2"']),
    ),
    st.tuples(st.just("create"), st.sampled_from(CATEGORIES), st.sampled_from(STATUSES), st.sampled_from(PATIENTS)),
    st.tuples(st.just("delete"), st.sampled_from(IDS[:8]), st.sampled_from(["", "", 'W/"1"'])),
    st.tuples(st.just("patch"), st.sampled_from(IDS[:8]), st.sampled_from(STATUSES)),
    st.tuples(st.just("conditional create"), conditions, st.sampled_from(CATEGORIES)),
    st.tuples(st.just("conditional update"), conditions, st.sampled_from(CATEGORIES)),
    st.tuples(st.just("conditional delete"), conditions),
    st.tuples(st.just("bundle"), st.lists(st.sampled_from(READS), min_size=1, max_size=4), st.sampled_from(CATEGORIES)),
    st.tuples(st.just("histories"), st.sampled_from(["", "Observation", "Patient"]), st.sampled_from([0, 0, 7])),
    st.tuples(st.just("watch"), st.sampled_from([(), (), ("Observation",), ("Patient", "Observation")])),
)


@settings(max_examples=100, deadline=None)
@given(scopes=scopes_given, asked=st.lists(calls, min_size=2, max_size=8))
def test_nothing_outside_the_grants_comes_back(
    world: tuple[asyncio.Runner, World], scopes: list[str], asked: list[tuple[Any, ...]]
) -> None:
    runner, made_world = world
    runner.run(explore(made_world, scopes, asked))


some_observations = st.builds(
    "system/Observation.{}{}".format,
    st.sampled_from(["r", "rs", "cruds"]),
    st.sampled_from(["", *(f"?{constraint}" for constraint in CONSTRAINTS if "gender" not in constraint)]),
)
gathered = st.one_of(
    st.tuples(st.just("everything"), st.sampled_from(PATIENTS), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("document"), st.sampled_from(COMPOSITIONS)),
)


@settings(max_examples=40, deadline=None)
@given(scopes=st.lists(some_observations, max_size=2), asked=st.lists(gathered, min_size=2, max_size=4))
def test_nothing_outside_the_grants_is_gathered(
    world: tuple[asyncio.Runner, World], scopes: list[str], asked: list[tuple[Any, ...]]
) -> None:
    runner, made_world = world
    runner.run(explore(made_world, ["system/Patient.rs", "system/Composition.rs", *scopes], asked))


async def explore(world: World, scopes: list[str], asked: list[tuple[Any, ...]]) -> None:
    try:
        metadata, granted = await world.come_in(*scopes)
    except CallError as error:
        if error.reason != "INVALID_SCOPE":
            raise
        return
    for name, *arguments in asked:
        try:
            await PROBES[name](world, metadata, granted, *arguments)
        except CallError as error:
            await judge_refusal(world, metadata, granted, error, name, *arguments)


def judge(world: World, granted: tuple[str, ...], permission: str, found: Resource) -> None:
    """Refuse what no scope allows: a version by its content, a deletion by what it deleted."""
    number = int(found.etag[3:-1])
    shown = world.truth.get((found.name, found.etag)) or world.truth[found.name, f'W/"{number - 1}"']
    assert allowed(granted, permission, shown), (granted, permission, found.name)
    if found.json:
        assert json.loads(found.json) == shown


async def probe_get(world: World, metadata: Metadata, granted: tuple[str, ...], name: str, version: str) -> None:
    answer = await world.core.GetResource(GetResourceRequest(name=name, version_id=version), metadata=metadata)
    judge(world, granted, "r", answer.resource)


async def probe_fetch(world: World, metadata: Metadata, granted: tuple[str, ...], name: str, version: str) -> None:
    request = FetchResourceRequest(name=name, version_id=version)
    async for part in world.core.FetchResource(request, metadata=metadata):
        if part.resource.name:
            judge(world, granted, "r", part.resource)


async def probe_everything(world: World, metadata: Metadata, granted: tuple[str, ...], name: str, size: int) -> None:
    token, names = "", []
    while True:
        request = FetchEverythingRequest(name=name, page_size=size, page_token=token)
        async for part in world.core.FetchEverything(request, metadata=metadata):
            token = part.next_page_token
            for entry in part.entries:
                names.append(entry.resource.name)
                judge(world, granted, "r", entry.resource)
                judge(world, granted, "s", entry.resource)
                shown = world.truth[entry.resource.name, entry.resource.etag]
                assert entry.resource.name == name or shown["subject"]["reference"] == name
        if not token:
            break
    assert name in names
    assert len(names) == len(set(names))
    current: dict[str, dict[str, Any]] = {}
    for (of, _), body in world.truth.items():
        current[of] = body
    gone = {IDS[4], IDS[7]}
    ours = {of for of, body in current.items() if body.get("subject") == {"reference": name} and of not in gone}
    ours = {of for of in ours if all(allowed(granted, letter, current[of]) for letter in "rs")}
    assert {of for of in ours if of in IDS or of in COMPOSITIONS} <= set(names)


async def probe_document(world: World, metadata: Metadata, granted: tuple[str, ...], name: str) -> None:
    request = GenerateDocumentRequest(name=name)
    answer = await world.core.GenerateDocument(request, metadata=metadata)
    entries = [entry["resource"] for entry in json.loads(answer.json)["entry"]]
    assert f"{entries[0]['resourceType']}/{entries[0]['id']}" == name
    for shown in entries:
        assert allowed(granted, "r", shown), (granted, shown["id"])


async def probe_versions(world: World, metadata: Metadata, granted: tuple[str, ...], name: str, size: int) -> None:
    request = ListVersionsRequest(name=name, page_size=size)
    seen = []
    while True:
        answer = await world.core.ListVersions(request, metadata=metadata)
        for found in answer.versions:
            judge(world, granted, "r", found)
            seen.append(found.etag)
        if not answer.next_page_token:
            break
        request = ListVersionsRequest(name=name, page_size=size, page_token=answer.next_page_token)
    ours = [etag for (of, etag), body in world.truth.items() if of == name and allowed(granted, "r", body)]
    assert seen, "who sees no version is told that there is no such resource"
    assert set(seen) >= set(ours)
    assert len(seen) == len(set(seen))


async def probe_search(
    world: World, metadata: Metadata, granted: tuple[str, ...], resource_type: str, parameters: dict[str, str]
) -> None:
    given = [SearchParameter(code=code, values=[value]) for code, value in parameters.items()]
    request = SearchResourcesRequest(resource_type=resource_type, parameters=given)
    names: list[str] = []
    total = None
    while True:
        answer = await world.core.SearchResources(request, metadata=metadata)
        total = answer.total if answer.HasField("total") else total
        for entry in answer.entries:
            judge(world, granted, "s", entry.resource)
            names.append(entry.resource.name)
        if not answer.next_page_token:
            break
        request = SearchResourcesRequest(resource_type=resource_type, page_token=answer.next_page_token)
    assert len(names) == len(set(names))
    if total is not None and parameters.get("_count") != "0":
        assert total == len(names)


async def probe_update(
    world: World, metadata: Metadata, granted: tuple[str, ...], name: str, category: str, etag: str
) -> None:
    before = max((int(tag[3:-1]) for of, tag in world.truth if of == name), default=0)
    body = observation(name.partition("/")[2], category, STATUSES[0], PATIENTS[0])
    request = UpdateResourceRequest(name=name, json=json.dumps(body).encode(), etag=etag, content=Content.CONTENT_FULL)
    stored = (await world.core.UpdateResource(request, metadata=metadata)).resource
    assert allowed(granted, "u", world.truth[name, f'W/"{before}"'])
    world.note(stored)
    assert allowed(granted, "u", world.truth[name, stored.etag])


async def probe_create(world: World, metadata: Metadata, granted: tuple[str, ...], *content: str) -> None:
    body = observation("any", *content)
    request = CreateResourceRequest(
        resource_type="Observation", json=json.dumps(body).encode(), content=Content.CONTENT_FULL
    )
    stored = (await world.core.CreateResource(request, metadata=metadata)).resource
    world.note(stored)
    assert allowed(granted, "c", world.truth[stored.name, stored.etag])
    await world.storage.commit([Write(key=Key(*stored.name.split("/")), body=None)])  # the next examples start alike


async def current(world: World, name: str) -> dict[str, Any] | None:
    """Return what is stored by now."""
    [stored] = await world.storage.read_many([Key(*name.split("/"))])
    return None if stored is None or stored.deleted else json.loads(stored.json)


async def restore(world: World, name: str, body: dict[str, Any]) -> None:
    """Bring back what was deleted, so that the next examples start alike."""
    metadata, _ = await world.come_in("system/*.cruds")
    await write(world, metadata, name, {member: value for member, value in body.items() if member != "meta"})


async def judge_deletions(
    world: World, granted: tuple[str, ...], before: dict[str, dict[str, Any] | None], deletions: Any, permissions: str
) -> None:
    for gone in deletions:
        body = before[gone.name]
        assert body, "what was not there is not deleted"
        for permission in permissions:
            assert allowed(granted, permission, body)
        assert not gone.json
        await restore(world, gone.name, body)
    for name, body in before.items():
        assert await current(world, name) is not None or body is None


async def probe_delete(world: World, metadata: Metadata, granted: tuple[str, ...], name: str, etag: str) -> None:
    before = {name: await current(world, name)}
    answer = await world.core.DeleteResource(DeleteResourceRequest(name=name, etag=etag), metadata=metadata)
    await judge_deletions(world, granted, before, answer.deletions, "d")


async def probe_conditional_delete(
    world: World, metadata: Metadata, granted: tuple[str, ...], given: dict[str, str]
) -> None:
    before = {name: await current(world, name) for name in IDS[:8]}
    request = DeleteResourceRequest(name="Observation", conditions=searched(given), allow_multiple=True)
    answer = await world.core.DeleteResource(request, metadata=metadata)
    await judge_deletions(world, granted, before, answer.deletions, "ds")


async def probe_patch(world: World, metadata: Metadata, granted: tuple[str, ...], name: str, status: str) -> None:
    before = await current(world, name)
    patch = json.dumps([{"op": "replace", "path": "/status", "value": status}]).encode()
    request = PatchResourceRequest(
        name=name, format=PatchFormat.PATCH_FORMAT_JSON, patch=patch, content=Content.CONTENT_FULL
    )
    stored = (await world.core.PatchResource(request, metadata=metadata)).resource
    assert before
    assert allowed(granted, "u", before)
    world.note(stored)
    assert allowed(granted, "u", world.truth[stored.name, stored.etag])


def searched(given: dict[str, str]) -> list[SearchParameter]:
    return [SearchParameter(code=code, values=[value]) for code, value in given.items()]


async def probe_conditional_create(
    world: World, metadata: Metadata, granted: tuple[str, ...], given: dict[str, str], category: str
) -> None:
    body = observation("any", category, STATUSES[0], PATIENTS[0])
    request = CreateResourceRequest(
        resource_type="Observation",
        json=json.dumps(body).encode(),
        conditions=searched(given),
        content=Content.CONTENT_FULL,
    )
    answer = await world.core.CreateResource(request, metadata=metadata)
    if answer.created:
        await judge_new(world, granted, answer.resource)
    else:
        judge(world, granted, "s", answer.resource)


async def probe_conditional_update(
    world: World, metadata: Metadata, granted: tuple[str, ...], given: dict[str, str], category: str
) -> None:
    before = {name: await current(world, name) for name in IDS[:8]}
    body = observation("any", category, STATUSES[1], PATIENTS[1])
    del body["id"]
    request = UpdateResourceRequest(
        name="Observation",
        json=json.dumps(body).encode(),
        conditions=searched(given),
        content=Content.CONTENT_FULL,
    )
    answer = await world.core.UpdateResource(request, metadata=metadata)
    if answer.created:
        await judge_new(world, granted, answer.resource)
        return
    old = before[answer.resource.name]
    assert old
    assert allowed(granted, "s", old)
    assert allowed(granted, "u", old)
    world.note(answer.resource)
    assert allowed(granted, "u", world.truth[answer.resource.name, answer.resource.etag])


async def judge_new(world: World, granted: tuple[str, ...], stored: Resource) -> None:
    world.note(stored)
    assert allowed(granted, "c", world.truth[stored.name, stored.etag])
    await world.storage.commit([Write(key=Key(*stored.name.split("/")), body=None)])


async def probe_bundle(
    world: World, metadata: Metadata, granted: tuple[str, ...], urls: list[str], category: str
) -> None:
    """Read in a batch, and update what another may hide."""
    old = await current(world, IDS[2])
    body = observation(IDS[2].partition("/")[2], category, STATUSES[0], PATIENTS[0])
    entries: list[dict[str, Any]] = [{"request": {"method": "GET", "url": url}} for url in urls]
    entries.append({"resource": body, "request": {"method": "PUT", "url": IDS[2]}})
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    request = CommitBundleRequest(json=json.dumps(bundle).encode(), content=Content.CONTENT_FULL)
    answer = await world.core.CommitBundle(request, metadata=metadata)
    *reads, written = answer.results
    if written.HasField("resource"):
        assert old
        assert allowed(granted, "u", old)
        world.note(written.resource)
        assert allowed(granted, "u", world.truth[IDS[2], written.resource.etag])
    for url, result in zip(urls, reads, strict=True):
        for entry in result.search.entries:
            judge(world, granted, "s", entry.resource)
        for version in result.versions.versions:
            judge(world, granted, "r" if url.count("/") > 1 else "s", version)
        if result.HasField("resource"):
            judge(world, granted, "r", result.resource)


def versions_seen(world: World, granted: tuple[str, ...], types: tuple[str, ...]) -> set[tuple[str, str]]:
    """Return every version with content that has to be seen."""
    return {
        version
        for version, body in world.truth.items()
        if body["resourceType"] in types and allowed(granted, "s", body)
    }


async def probe_histories(
    world: World, metadata: Metadata, granted: tuple[str, ...], resource_type: str, size: int
) -> None:
    request = ListVersionsRequest(resource_type=resource_type, page_size=size)
    seen: list[tuple[str, str]] = []
    while True:
        answer = await world.core.ListVersions(request, metadata=metadata)
        for found in answer.versions:
            judge(world, granted, "s", found)
            seen.append((found.name, found.etag))
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert len(seen) == len(set(seen))
    assert set(seen) >= versions_seen(world, granted, (resource_type,) if resource_type else ("Observation", "Patient"))


async def probe_watch(world: World, metadata: Metadata, granted: tuple[str, ...], types: tuple[str, ...]) -> None:
    expected = versions_seen(world, granted, types or ("Observation", "Patient"))
    watch = world.core.WatchResources(WatchResourcesRequest(after=0, resource_types=types), metadata=metadata)
    seen: set[tuple[str, str]] = set()
    try:
        async with asyncio.timeout(10 if expected else 0.02):
            while not (expected and seen >= expected):
                for found in (await anext(watch)).changes:
                    judge(world, granted, "s", found)
                    seen.add((found.name, found.etag))
    except TimeoutError:
        assert not expected
    finally:
        await watch.aclose()  # type: ignore[attr-defined]  # transports give generators


PROBES: dict[str, Any] = {
    "bundle": probe_bundle,
    "conditional create": probe_conditional_create,
    "conditional delete": probe_conditional_delete,
    "conditional update": probe_conditional_update,
    "delete": probe_delete,
    "document": probe_document,
    "everything": probe_everything,
    "histories": probe_histories,
    "patch": probe_patch,
    "watch": probe_watch,
    "create": probe_create,
    "fetch": probe_fetch,
    "get": probe_get,
    "search": probe_search,
    "update": probe_update,
    "versions": probe_versions,
}


_OF_CONDITIONS = {"INSUFFICIENT_SCOPE", "INVALID_SEARCH", "MULTIPLE_MATCHES"}
REFUSALS = {
    "conditional create": _OF_CONDITIONS,
    "conditional delete": _OF_CONDITIONS | {"STILL_REFERENCED"},
    "conditional update": _OF_CONDITIONS | {"RESOURCE_NOT_FOUND"},
    "create": {"INSUFFICIENT_SCOPE", "INVALID_SEARCH"},
    "histories": {"INSUFFICIENT_SCOPE"},
    "search": {"INSUFFICIENT_SCOPE", "INVALID_SEARCH"},
    "watch": {"INSUFFICIENT_SCOPE"},
}
"""What calls that name no resource may be refused for."""


async def judge_refusal(
    world: World, metadata: Metadata, granted: tuple[str, ...], error: CallError, call: str, *arguments: Any
) -> None:
    """What is hidden is refused as the absent is, and what may be seen is not refused for want of a scope."""
    if call in REFUSALS:
        assert error.reason in REFUSALS[call]
        return
    name, *rest = arguments
    permission = {"update": "u", "patch": "u", "delete": "d"}.get(call, "r")
    ours = any(of == name and allowed(granted, permission, body) for (of, _), body in world.truth.items())
    if ours:
        return
    absent = f"{name.partition('/')[0]}/absent"
    with pytest.raises(CallError) as caught:
        await PROBES[call](world, metadata, granted, absent, *rest)
    other = caught.value
    texts = [issue.diagnostics.replace(name, absent) for issue in error.issues]
    assert (error.code, error.reason) == (other.code, other.reason)
    assert texts == [issue.diagnostics for issue in other.issues]
