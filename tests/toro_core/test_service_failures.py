"""Every kind of failure reads the same over both transports: code, reason, issues, details."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from toro_core.assembly import service_on
from toro_core.errors import (
    AlreadyExists,
    ConditionChanged,
    Damaged,
    OutcomeUnknown,
    StateConflict,
    StorageBusy,
    StorageError,
    StorageFull,
    TooCostly,
    ToroError,
    Unsupported,
)
from toro_core.local import LocalTransport
from toro_core.server import serve_core
from toro_core.service import Service
from toro_core.settings import Settings
from toro_core.storage import Storage
from toro_core.v1 import (
    CallError,
    Core,
    CreateResourceRequest,
    ExchangeAssertionRequest,
    FetchResourceRequest,
    GetCapabilitiesRequest,
    GetResourceRequest,
    Issues,
    IssueSeverity,
    ListVersionsRequest,
    Metadata,
    ResourceServiceStub,
    SearchParameter,
    SearchResourcesRequest,
    UpdateResourceRequest,
    connect,
)

ALL = ("system/*.cruds",)
Call = Callable[["Scene"], Awaitable[Any]]


@dataclass
class Scene:
    """One stored and one deleted Observation, and a core to ask."""

    core: Core
    partner: Any
    metadata: Metadata
    stored: str
    deleted: str
    observation: Callable[..., dict[str, Any]]

    def body(self, name: str, **members: Any) -> bytes:
        return json.dumps(self.observation(id=name.partition("/")[2], **members)).encode()


def get(name: str, version: str = "", **more: Any) -> Call:
    return lambda scene: scene.core.GetResource(
        GetResourceRequest(name=name.format(s=scene), version_id=version, **more), metadata=scene.metadata
    )


def create(json: bytes, resource_type: str = "Observation") -> Call:
    return lambda scene: scene.core.CreateResource(
        CreateResourceRequest(resource_type=resource_type, json=json), metadata=scene.metadata
    )


def update(name: str, json: bytes | None = None, **more: Any) -> Call:
    def call(scene: Scene) -> Awaitable[Any]:
        named = name.format(s=scene)
        request = UpdateResourceRequest(name=named, json=scene.body(named) if json is None else json, **more)
        return scene.core.UpdateResource(request, metadata=scene.metadata)

    return call


def search(code: str = "", *values: str, resource_type: str = "Observation", **more: Any) -> Call:
    parameters = [SearchParameter(code=code, values=values)] if code else []
    request = SearchResourcesRequest(resource_type=resource_type, parameters=parameters, **more)
    return lambda scene: scene.core.SearchResources(request, metadata=scene.metadata)


def versions(name: str, **more: Any) -> Call:
    return lambda scene: scene.core.ListVersions(
        ListVersionsRequest(name=name.format(s=scene), **more), metadata=scene.metadata
    )


def fetch(name: str) -> Call:
    async def call(scene: Scene) -> None:
        request = FetchResourceRequest(name=name.format(s=scene))
        async for _ in scene.core.FetchResource(request, metadata=scene.metadata):
            pass

    return call


def exchange(**fields: Any) -> Call:
    async def call(scene: Scene) -> Any:
        given = {"assertion": scene.partner.assertion(), "scopes": ["system/Patient.r"], **fields}
        return await scene.core.ExchangeAssertion(ExchangeAssertionRequest(**given))

    return call


def as_(metadata: Metadata, call: Call) -> Call:
    def asked(scene: Scene) -> Awaitable[Any]:
        return call(Scene(scene.core, scene.partner, metadata, scene.stored, scene.deleted, scene.observation))

    return asked


READ = get("{s.stored}")
WRONG = json.dumps(
    {"resourceType": "Observation", "status": "Final", "codes": 1, **{f"x{number}": number for number in range(90)}}
).encode()

FAILURES: dict[str, tuple[Call, str, str]] = {
    "no token": (as_((), READ), "UNAUTHENTICATED", "UNAUTHENTICATED"),
    "no bearer token": (as_((("authorization", "Basic x"),), READ), "UNAUTHENTICATED", "INVALID_TOKEN"),
    "two tokens": (
        as_((("authorization", "Bearer x"), ("authorization", "Bearer y")), READ),
        "UNAUTHENTICATED",
        "INVALID_TOKEN",
    ),
    "a forged token": (as_((("authorization", "Bearer a.b.c"),), READ), "UNAUTHENTICATED", "INVALID_TOKEN"),
    "a forged token on a stream": (
        as_((("authorization", "Bearer a.b.c"),), fetch("{s.stored}")),
        "UNAUTHENTICATED",
        "INVALID_TOKEN",
    ),
    "an absent resource": (get("Patient/none"), "NOT_FOUND", "RESOURCE_NOT_FOUND"),
    "an absent resource on a stream": (fetch("Patient/none"), "NOT_FOUND", "RESOURCE_NOT_FOUND"),
    "an absent version": (get("{s.stored}", "7"), "NOT_FOUND", "RESOURCE_NOT_FOUND"),
    "a deleted resource": (get("{s.deleted}"), "NOT_FOUND", "RESOURCE_DELETED"),
    "a deleted version": (get("{s.deleted}", "2"), "NOT_FOUND", "RESOURCE_DELETED"),
    "an unknown type": (get("Pateint/1"), "NOT_FOUND", "UNSUPPORTED_TYPE"),
    "a name that is none": (get("Patient"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "an id that is none": (get("Patient/a b"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "a version that is none": (get("{s.stored}", "x"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "a resource larger than accepted": (get("{s.stored}", max_bytes=10), "OUT_OF_RANGE", "RESOURCE_TOO_LARGE"),
    "a negative limit on a read": (get("{s.stored}", max_bytes=-1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "no body": (create(b""), "INVALID_ARGUMENT", "INVALID_JSON"),
    "a body that is no JSON": (create(b"{"), "INVALID_ARGUMENT", "INVALID_JSON"),
    "a body that is no object": (create(b"[]"), "INVALID_ARGUMENT", "INVALID_JSON"),
    "a body nested too deep": (create(b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "INVALID_ARGUMENT", "INVALID_JSON"),
    "a resource with a hundred errors": (create(WRONG), "INVALID_ARGUMENT", "INVALID_RESOURCE"),
    "a resource of another type": (create(b'{"resourceType":"Patient"}'), "INVALID_ARGUMENT", "INVALID_RESOURCE"),
    "a body of no type": (create(b'{"status":"final"}'), "INVALID_ARGUMENT", "INVALID_RESOURCE"),
    "a create of an unknown type": (create(b"{}", "Pateint"), "NOT_FOUND", "UNSUPPORTED_TYPE"),
    "a create of no type": (create(b"{}", ""), "NOT_FOUND", "UNSUPPORTED_TYPE"),
    "an update of another version": (update("{s.stored}", etag='W/"7"'), "ABORTED", "VERSION_CONFLICT"),
    "an update under a malformed tag": (update("{s.stored}", etag="seven"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "an update under another id": (
        update("{s.stored}", b'{"resourceType":"Observation","id":"x"}'),
        "INVALID_ARGUMENT",
        "INVALID_RESOURCE",
    ),
    "an update of nothing": (update("Observation/none"), "FAILED_PRECONDITION", "UPDATE_CREATE_NOT_ALLOWED"),
    "an update of nothing under a tag": (
        update("Observation/none", etag='W/"1"', allow_missing=True),
        "ABORTED",
        "VERSION_CONFLICT",
    ),
    "an update of a deleted resource": (update("{s.deleted}"), "NOT_FOUND", "RESOURCE_DELETED"),
    "an update of a deleted resource under a tag": (update("{s.deleted}", etag='W/"2"'), "ABORTED", "VERSION_CONFLICT"),
    "an unknown search parameter": (search("colour", "red"), "INVALID_ARGUMENT", "INVALID_SEARCH"),
    "a bad date": (search("date", "yesterday"), "INVALID_ARGUMENT", "INVALID_SEARCH"),
    "a negative count": (search("_count", "-1"), "INVALID_ARGUMENT", "INVALID_SEARCH"),
    "a search of an unknown type": (search(resource_type="Pateint"), "NOT_FOUND", "UNSUPPORTED_TYPE"),
    "a page token that is none": (search(page_token="next"), "INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"),
    "a page token with parameters": (search("_id", "1", page_token="x"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "a negative limit on a search": (search(max_bytes=-1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "versions of nothing": (versions("Observation/none"), "NOT_FOUND", "RESOURCE_NOT_FOUND"),
    "a negative page of versions": (versions("{s.stored}", page_size=-1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "a negative limit on versions": (versions("{s.stored}", max_bytes=-1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "versions by a token that is none": (
        versions("{s.stored}", page_token="x"),
        "INVALID_ARGUMENT",
        "INVALID_PAGE_TOKEN",
    ),
    "no assertion": (exchange(assertion=""), "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "another token endpoint": (
        exchange(token_url="https://other.example.org/auth/token"),
        "INVALID_ARGUMENT",
        "INVALID_REQUEST",
    ),
    "scopes that nobody may have": (exchange(scopes=["patient/Patient.r"]), "INVALID_ARGUMENT", "INVALID_SCOPE"),
}


@pytest.fixture
async def scene(local: Core, partner: Any, observation: Callable[..., dict[str, Any]]) -> Scene:
    stored, deleted = await partner.create(observation()), await partner.create(observation())
    await partner.delete(deleted.name)
    return Scene(local, partner, await partner.may(*ALL), stored.name, deleted.name, observation)


async def failure(call: Call, scene: Scene) -> CallError:
    with pytest.raises(CallError) as caught:
        await call(scene)
    return caught.value


async def test_both_transports_fail_alike(scene: Scene, local: Core, remote: Core) -> None:
    wrong = {}
    for what, (call, code, reason) in FAILURES.items():
        scene.core = local
        here = await failure(call, scene)
        scene.core = remote
        there = await failure(call, scene)
        if (here.code, here.reason) != (code, reason) or not here.issues:
            wrong[what] = f"{here!r} in process"
        elif (here.code, here.reason, here.issues, here.details) != (
            there.code,
            there.reason,
            there.issues,
            there.details,
        ):
            wrong[what] = f"{there!r} over gRPC, {here!r} in process"
    assert not wrong


class Broken:
    """A storage that does what it is told: raises from every call that reads or writes resources."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.raises: Exception | None = None
        self.capabilities = storage.capabilities

    def __getattr__(self, name: str) -> Any:
        if self.raises is not None and name in {"read", "commit", "search", "count", "history"}:
            raise self.raises
        return getattr(self._storage, name)


ERRORS = [
    (AlreadyExists(), "ALREADY_EXISTS", "ALREADY_EXISTS"),
    (ConditionChanged(), "ABORTED", "CONDITION_CHANGED"),
    (StateConflict(), "ABORTED", "STATE_CONFLICT"),
    (Unsupported(), "UNIMPLEMENTED", "UNSUPPORTED"),
    (TooCostly(), "INVALID_ARGUMENT", "TOO_COSTLY"),
    (StorageBusy(), "UNAVAILABLE", "STORAGE_UNAVAILABLE"),
    (OutcomeUnknown(), "DEADLINE_EXCEEDED", "OUTCOME_UNKNOWN"),
    (StorageFull(), "RESOURCE_EXHAUSTED", "STORAGE_FULL"),
    (Damaged(), "DATA_LOSS", "STORAGE_DAMAGED"),
    (StorageError("SQLite could not do this (result code 1)"), "INTERNAL", "INTERNAL"),
    (ToroError("no table knows this reason"), "INTERNAL", "INTERNAL"),
    (ValueError("canary"), "INTERNAL", "INTERNAL"),
    (TimeoutError("canary"), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error[0]).__name__)
async def test_both_transports_tell_a_failing_storage_alike(
    storage: Storage,
    settings: Settings,
    partner: Any,
    observation: Callable[..., dict[str, Any]],
    error: tuple[Exception, str, str],
) -> None:
    raised, code, reason = error
    broken = Broken(storage)
    service = service_on(cast(Storage, broken), settings)
    metadata = (*await partner.may(*ALL), ("x-request-id", "request-1"))
    scene = Scene(Core(LocalTransport(service)), partner, metadata, "Observation/1", "", observation)
    broken.raises = raised
    async with serve_core(service, settings) as port, connect(f"127.0.0.1:{port}") as remote:
        for call in (
            READ,
            fetch("{s.stored}"),
            create(json.dumps(observation()).encode()),
            search(),
            versions("{s.stored}"),
        ):
            scene.core = Core(LocalTransport(service))
            here = await failure(call, scene)
            scene.core = remote
            there = await failure(call, scene)
            assert (here.code, here.reason) == (there.code, there.reason) == (code, reason)
            assert here.issues == there.issues
            assert here.issues[0].diagnostics
            assert "canary" not in f"{here!r} {here.issues}"


async def test_what_nobody_foresaw_is_told_by_the_request_id_and_logged_by_its_place(
    storage: Storage,
    settings: Settings,
    partner: Any,
    observation: Callable[..., dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Broken(storage)
    metadata = (*await partner.may(*ALL), ("x-request-id", "request-1"))
    core = Core(LocalTransport(service_on(cast(Storage, broken), settings)))
    broken.raises = ValueError("canary")
    error = await failure(READ, Scene(core, partner, metadata, "Observation/1", "", observation))
    assert "request-1" in error.issues[0].diagnostics
    [record] = [record for record in caplog.records if record.name == "toro.core"]
    assert "ValueError at __getattr__:" in record.getMessage()
    assert "request-1" in record.getMessage()
    assert "canary" not in caplog.text


async def test_a_deadline_that_passes_reads_the_same_over_both(
    storage: Storage, settings: Settings, partner: Any, observation: Callable[..., dict[str, Any]]
) -> None:
    class Slow(Broken):
        async def read(self, *_: object) -> None:
            await asyncio.sleep(30)

    service = service_on(cast(Storage, Slow(storage)), settings)
    metadata = await partner.may(*ALL)
    request = GetResourceRequest(name="Patient/1")
    found = []
    async with serve_core(service, settings) as port, connect(f"127.0.0.1:{port}") as remote:
        for core in (Core(LocalTransport(service)), remote):
            with pytest.raises(CallError) as caught:
                await core.GetResource(request, metadata=metadata, timeout=0.1)
            found.append((caught.value.code, caught.value.reason, caught.value.issues))
    assert found[0] == found[1]
    assert found[0][:2] == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")


async def test_a_core_that_is_not_there_is_unavailable() -> None:
    async with connect("127.0.0.1:1") as core:
        with pytest.raises(CallError) as caught:
            await core.GetCapabilities(GetCapabilitiesRequest(), timeout=5)
    assert (caught.value.code, caught.value.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")


@pytest.mark.parametrize("options", [(), (("grpc.max_metadata_size", 8192), ("grpc.absolute_max_metadata_size", 8192))])
async def test_a_client_with_default_options_gets_the_first_of_many_issues(
    service: Service, settings: Settings, partner: Any, options: tuple[tuple[str, int], ...]
) -> None:
    names = {f"x{'y' * 60}{number}": 1 for number in range(100)}
    body = json.dumps({"resourceType": "Observation", **names}).encode()
    request = CreateResourceRequest(resource_type="Observation", json=body)
    async with (
        serve_core(service, settings) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", list(options)) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ResourceServiceStub(channel).CreateResource(request, metadata=await partner.may(*ALL))
    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    info, issues = Status.FromString(details).details
    assert ErrorInfo.FromString(info.value).reason == "INVALID_RESOURCE"
    *some, note = Issues.FromString(issues.value).issues
    assert len(some) > 10
    assert note.severity == IssueSeverity.ISSUE_SEVERITY_INFORMATION
    assert note.diagnostics.startswith(f"{101 - len(some)} more issues")
