"""Histories in the core: whatever is written between two pages, each version comes once, in commit order."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toro_core.conftest import Partner
from toro_core.assembly import service_on
from toro_core.definitions import load
from toro_core.local import LocalTransport
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor
from toro_core.settings import Settings
from toro_core.storage import Body, HistoryPlan, Key, Storage, Stored, Write
from toro_core.testing.memory import MemoryStorage
from toro_core.v1 import CallError, Core, ExposedType, Exposure, Interaction, ListVersionsRequest

KEYS = [Key(type_, id_) for type_ in ("Basic", "Patient") for id_ in ("a", "b", "c")]
commits = st.lists(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(load(), ())


async def _commit(storage: Storage, keys: list[Key]) -> None:
    """Write these, and delete those that are there and whose version is even: some of both in a commit."""
    current = await storage.read_many(keys)
    writes = []
    for key, stored in zip(keys, current, strict=True):
        gone = stored is not None and not stored.deleted and stored.version % 3 == 0
        body = Body(
            before=b'{"resourceType":"%s","id":"%s","meta":{' % (key.type.encode(), key.id.encode()), after=b"}}"
        )
        writes.append(Write(key=key, body=None if gone else body))
    await storage.commit(writes)


async def _all(storage: Storage) -> list[Stored]:
    found: list[Stored] = []
    async for batch in storage.changes(0):
        found += batch
    return found[::-1]


@settings(max_examples=20, deadline=None)
@given(
    before=commits, between=commits, size=st.integers(1, 7), of=st.sampled_from(["", "Patient", "Patient/a", "Basic"])
)
def test_pages_give_each_version_once_while_others_write(
    extractor: Extractor, before: list[Any], between: list[Any], size: int, of: str
) -> None:
    asyncio.run(_walk_anew(extractor, before, between, size, of))


async def _walk_anew(extractor: Extractor, before: list[Any], between: list[Any], size: int, of: str) -> None:
    """Walk on a new database."""
    with TemporaryDirectory() as folder:
        options = Settings(storage=f"sqlite:///{folder}/toro.db", base_url="https://fhir.example.org")
        async with open_storage(options.storage) as storage:
            partner = Partner(
                storage, options, Core(LocalTransport(service_on(storage, options, extractor))), "service"
            )
            await partner.register()
            await _walk(partner, before, between, size, of)


async def _walk(partner: Partner, before: list[Any], between: list[Any], size: int, of: str) -> None:
    metadata = await partner.may("system/*.rs")
    for keys in before:
        await _commit(partner.storage, keys)
    asked: dict[str, Any] = {"page_size": size}
    if "/" in of:
        asked["name"] = of
    elif of:
        asked["resource_type"] = of
    expected = [
        f"{one.key} {one.version}" for one in await _all(partner.storage) if of in ("", one.key.type, str(one.key))
    ]
    if not expected:
        return
    waiting = iter(between)
    seen: list[str] = []
    token = ""
    while True:
        page = await partner.core.ListVersions(ListVersionsRequest(**asked, page_token=token), metadata=metadata)
        assert len(page.versions) <= size
        seen += [f"{one.name} {one.etag[3:-1]}" for one in page.versions]
        token = page.next_page_token
        if not token:
            break
        await _commit(partner.storage, next(waiting, [KEYS[0]]))
    assert seen == expected


async def test_a_storage_without_order_has_histories_of_single_resources_alone(settings: Settings) -> None:
    storage = MemoryStorage(without=("ordered_changes",))
    core = Core(LocalTransport(service_on(storage, settings)))
    partner = Partner(storage, settings, core, "service")
    await partner.register()
    metadata = await partner.may("system/*.rs")
    name = (await partner.create({"resourceType": "Patient"})).name
    assert len((await core.ListVersions(ListVersionsRequest(name=name), metadata=metadata)).versions) == 1
    for request in (ListVersionsRequest(), ListVersionsRequest(resource_type="Patient")):
        with pytest.raises(CallError) as caught:
            await core.ListVersions(request, metadata=metadata)
        assert (caught.value.code, caught.value.reason) == ("UNIMPLEMENTED", "UNSUPPORTED")


async def test_an_exposure_narrows_the_history_of_all(core: Core, partner: Any) -> None:
    metadata = await partner.may("system/*.rs")
    await partner.create({"resourceType": "Patient"})
    await partner.create({"resourceType": "Basic", "code": {"text": "x"}})
    exposure = Exposure(
        types=[
            ExposedType(resource_type="Patient", interactions=[Interaction.INTERACTION_HISTORY_TYPE]),
            ExposedType(resource_type="Basic", interactions=[Interaction.INTERACTION_READ]),
        ]
    )
    answer = await core.ListVersions(ListVersionsRequest(exposure=exposure), metadata=metadata)
    assert [one.name.partition("/")[0] for one in answer.versions] == ["Patient"]
    answer = await core.ListVersions(ListVersionsRequest(), metadata=metadata)
    assert [one.name.partition("/")[0] for one in answer.versions] == ["Basic", "Patient"]


@pytest.mark.parametrize(
    "request_",
    [
        ListVersionsRequest(name="Patient/1", resource_type="Patient"),
        ListVersionsRequest(page_size=-1),
        ListVersionsRequest(since="soon"),
        ListVersionsRequest(page_token="x", since="2024"),
        ListVersionsRequest(page_token="x"),
    ],
)
async def test_what_makes_no_sense_is_refused(core: Core, partner: Any, request_: ListVersionsRequest) -> None:
    with pytest.raises(CallError) as caught:
        await core.ListVersions(request_, metadata=await partner.may("system/*.rs"))
    assert caught.value.code == "INVALID_ARGUMENT"


async def test_hidden_versions_leave_no_empty_page(core: Core, partner: Any, observation: Any) -> None:
    lab = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    mine = await partner.create(observation())
    for _ in range(7):
        await partner.create(observation("vital-signs"))
    assert len((await partner.storage.history(HistoryPlan())).resources) == 8
    metadata = await partner.may(f"system/Observation.s?{lab}")
    for type_ in ("", "Observation"):
        page = await core.ListVersions(ListVersionsRequest(resource_type=type_, page_size=2), metadata=metadata)
        assert [one.name for one in page.versions] == [mine.name]
        assert (page.next_page_token, page.total) == ("", 1)
