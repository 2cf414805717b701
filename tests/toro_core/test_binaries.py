"""Binary: its content in chunks, and hidden from whoever may not see its security context, by whatever call."""

from __future__ import annotations

import base64
import json
import os
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.binaries import Content
from toro_core.v1 import (
    CallError,
    Core,
    DeleteResourceRequest,
    FetchBinaryRequest,
    FetchEverythingRequest,
    FetchResourceRequest,
    GetResourceRequest,
    ListVersionsRequest,
    Metadata,
    SearchParameter,
    SearchResourcesRequest,
    UpdateResourceRequest,
)

if TYPE_CHECKING:
    from tests.toro_core.conftest import Partner


@given(content=st.binary(max_size=300), spaced=st.booleans())
def test_the_content_comes_as_it_was_encoded(content: bytes, spaced: bool) -> None:
    text = base64.b64encode(content).decode()
    if spaced:
        text = "\r\n ".join(text[start : start + 7] for start in range(0, len(text), 7))
    found = Content(json.dumps({"resourceType": "Binary", "contentType": "a/b", "data": text}).encode())
    assert b"".join(found.chunks()) == content
    assert found.size == len(content)


def test_a_binary_without_data_has_no_content() -> None:
    found = Content(b'{"resourceType":"Binary","contentType":"a/b"}')
    assert (list(found.chunks()), found.size, found.security_context) == ([], 0, "")


def test_reading_ten_megabytes_holds_no_second_copy() -> None:
    content = os.urandom(10 << 20)
    json_ = b'{"resourceType":"Binary","contentType":"a/b","data":"%s"}' % base64.b64encode(content)
    tracemalloc.start()
    found = Content(json_)
    size = sum(len(chunk) for chunk in found.chunks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == found.size == len(content)
    assert peak < 4 << 20


async def put(partner: Partner, **resource: Any) -> None:
    metadata = await partner.may("system/*.cruds")
    name = f"{resource['resourceType']}/{resource['id']}"
    request = UpdateResourceRequest(name=name, json=json.dumps(resource).encode(), allow_missing=True)
    await partner.core.UpdateResource(request, metadata=metadata)


@pytest.fixture
async def binaries(partner: Partner) -> None:
    await put(partner, resourceType="Patient", id="1")
    await put(partner, resourceType="Patient", id="2")
    contexts = {
        "open": None,
        "one": "Patient/1",
        "two": "Patient/2",
        "absent": "Patient/9",
        "far": "http://x.example/P/1",
    }
    for id, context in [*contexts.items(), ("nested", "Binary/two")]:
        context_of = {"securityContext": {"reference": context}} if context else {}
        await put(partner, resourceType="Binary", id=id, contentType="text/plain", data="aGVsbG8=", **context_of)
    content = [{"attachment": {"url": f"Binary/{id}"}} for id in (*contexts, "nested")]
    subject = {"reference": "Patient/1"}
    await put(partner, resourceType="DocumentReference", id="d", status="current", subject=subject, content=content)


async def fetch(core: Core, metadata: Metadata, id: str) -> bytes:
    request = FetchBinaryRequest(name=f"Binary/{id}")
    return b"".join([part.chunk async for part in core.FetchBinary(request, metadata=metadata)])


async def searched(core: Core, metadata: Metadata, **parameters: str) -> tuple[set[str], int | None]:
    given = [SearchParameter(code=code, values=[value]) for code, value in parameters.items()]
    request = SearchResourcesRequest(resource_type="Binary", parameters=given)
    page = await core.SearchResources(request, metadata=metadata)
    return {entry.resource.name.partition("/")[2] for entry in page.entries}, (
        page.total if page.HasField("total") else None
    )


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [
        (("system/*.cruds",), {"open", "one", "two", "absent", "far", "nested"}),
        (("system/Binary.cruds", "system/Patient.r"), {"open", "one", "two", "nested"}),
        (("system/Binary.cruds", "system/Patient.rs?_id=1"), {"open", "one"}),
        (("system/Binary.cruds",), {"open"}),
    ],
)
@pytest.mark.usefixtures("binaries")
async def test_a_binary_is_as_hidden_as_its_security_context(
    local: Core, partner: Partner, scopes: tuple[str, ...], seen: set[str]
) -> None:
    metadata = await partner.may(*scopes)
    assert (await searched(local, metadata))[0] == seen
    for id in ("open", "one", "two", "absent", "far", "nested"):
        if id in seen:
            assert await fetch(local, metadata, id) == b"hello"
            continue
        absent = await refusals(local, metadata, "nobody")
        hidden = [(reason, text.replace(id, "nobody")) for reason, text in await refusals(local, metadata, id)]
        assert hidden == absent


async def refusals(core: Core, metadata: Metadata, id: str) -> list[tuple[str, str]]:
    """Ask for a Binary in every way that names it and return how that is refused."""
    name, found = f"Binary/{id}", []

    async def fetched() -> None:
        async for _ in core.FetchResource(FetchResourceRequest(name=name), metadata=metadata):
            pass

    update = UpdateResourceRequest(
        name=name, json=b'{"resourceType":"Binary","id":"%s","contentType":"a/b"}' % id.encode()
    )
    for call in (
        fetch(core, metadata, id),
        fetched(),
        core.GetResource(GetResourceRequest(name=name), metadata=metadata),
        core.GetResource(GetResourceRequest(name=name, version_id="1"), metadata=metadata),
        core.ListVersions(ListVersionsRequest(name=name), metadata=metadata),
        core.UpdateResource(update, metadata=metadata),
    ):
        with pytest.raises(CallError) as caught:
            await call
        found.append((caught.value.reason, caught.value.issues[0].diagnostics))
    answer = await core.DeleteResource(DeleteResourceRequest(name=name), metadata=metadata)
    assert not answer.deletions
    return found


@pytest.mark.usefixtures("binaries")
async def test_the_number_of_hidden_binaries_is_not_told(local: Core, partner: Partner) -> None:
    some = await partner.may("system/Binary.rs")
    assert await searched(local, some) == ({"open"}, None)
    assert await searched(local, some, _total="accurate") == ({"open"}, None)
    assert await searched(local, some, _summary="count") == (set(), None)
    assert (await searched(local, await partner.may("system/*.rs")))[1] == 6


@pytest.mark.usefixtures("binaries")
async def test_hidden_binaries_are_no_part_of_a_record(local: Core, partner: Partner) -> None:
    metadata = await partner.may("system/Binary.rs", "system/DocumentReference.rs", "system/Patient.rs?_id=1")
    names = []
    async for part in local.FetchEverything(FetchEverythingRequest(name="Patient/1"), metadata=metadata):
        names += [entry.resource.name for entry in part.entries]
    assert names == ["Patient/1", "DocumentReference/d", "Binary/open", "Binary/one"]


@pytest.mark.usefixtures("binaries")
async def test_what_is_no_binary_has_no_content(core: Core, partner: Partner) -> None:
    metadata = await partner.may("system/*.rs")
    with pytest.raises(CallError) as caught:
        async for _ in core.FetchBinary(FetchBinaryRequest(name="Patient/1"), metadata=metadata):
            pass
    assert caught.value.reason == "INVALID_ARGUMENT"
    parts = [part async for part in core.FetchBinary(FetchBinaryRequest(name="Binary/one"), metadata=metadata)]
    head = parts[0].content
    assert (head.content_type, head.size, head.security_context) == ("text/plain", 5, "Patient/1")
    assert (head.resource.name, head.resource.etag, head.resource.json) == ("Binary/one", 'W/"1"', b"")


@pytest.mark.usefixtures("binaries")
async def test_a_context_that_is_added_hides_the_versions_before_it(local: Core, partner: Partner) -> None:
    some = await partner.may("system/Binary.rs")
    request = GetResourceRequest(name="Binary/open", version_id="1")
    assert (await local.GetResource(request, metadata=some)).resource.name
    context = {"securityContext": {"reference": "Patient/1"}}
    await put(partner, resourceType="Binary", id="open", contentType="text/plain", data="aGVsbG8=", **context)
    with pytest.raises(CallError) as caught:
        await local.GetResource(request, metadata=some)
    assert caught.value.reason == "RESOURCE_NOT_FOUND"
