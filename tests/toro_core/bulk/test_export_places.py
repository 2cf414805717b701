"""Exports whose files lie elsewhere: any file system of fsspec, and S3 with signed addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import fsspec
import httpx
import pytest
from moto.server import ThreadedMotoServer

from toro_core.bulk.errors import FilesUnusable
from toro_core.bulk.files import open_files
from toro_core.errors import NotFound
from toro_core.testing.memory import MemoryStorage

BUCKET = "exports"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Run a server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return f"s3://{BUCKET}/toro"


@asynccontextmanager
async def place_at(kit: Any, tmp_path: Any, url: str, **options: Any) -> AsyncIterator[Any]:
    place = kit.place_on(MemoryStorage(), tmp_path, files=open_files(url, **options))
    for number in range(30):
        await place.put(kit.patient(number), *(kit.observation(f"{number}-{n}", number) for n in range(4)))
    yield place


async def test_files_on_s3_are_read_by_signed_addresses_without_a_token(kit: Any, tmp_path: Any, bucket: str) -> None:
    async with place_at(kit, tmp_path, bucket) as place:
        job = await place.export()
        wanted = await place.lines(job)
        assert len(wanted["Patient"]) == 30
        look = await place.exports.look(place.caller, job.id)
        assert set(look.urls) == {file.name for file in job.files}
        found: dict[str, list[bytes]] = {}
        async with httpx.AsyncClient() as anybody:
            for file in job.files:
                answer = await anybody.get(look.urls[file.name])
                assert answer.status_code == 200
                assert answer.headers["content-type"] == "application/fhir+ndjson"
                found.setdefault(file.type, []).extend(answer.content.splitlines())
        assert found == wanted
        await place.exports.cancel(place.caller, job.id)
        assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=BUCKET)


async def test_signed_addresses_can_be_switched_off(kit: Any, tmp_path: Any, bucket: str) -> None:
    async with place_at(kit, tmp_path, bucket, signed=False) as place:
        job = await place.export()
        assert (await place.exports.look(place.caller, job.id)).urls == {}
        middle = b"".join([chunk async for chunk in place.exports.content(job, job.files[0], 10, 20)])
        whole = b"".join([chunk async for chunk in place.exports.content(job, job.files[0], 0, 0)])
        assert middle == whole[10:30]
        assert {folder.name for folder in place.files.folders()} == {job.id}
        await place.exports.cancel(place.caller, job.id)
        with pytest.raises(NotFound):
            [chunk async for chunk in place.exports.content(job, job.files[0], 0, 0)]


async def test_any_file_system_of_fsspec_will_do(kit: Any, tmp_path: Any) -> None:
    async with place_at(kit, tmp_path, "memory://exports") as place:
        job = await place.export()
        assert len((await place.lines(job))["Observation"]) == 120
        assert (await place.exports.look(place.caller, job.id)).urls == {}
        assert [folder.name for folder in place.files.folders()] == [job.id]
        await place.exports.cancel(place.caller, job.id)
        assert fsspec.filesystem("memory").find("/exports") == []


def test_a_place_nobody_knows_is_refused() -> None:
    with pytest.raises(FilesUnusable):
        open_files("nowhere://there")
