"""kill -9 in the middle of writing: what was acknowledged is there, nothing is half there, and the index is that of the JSON."""

# ruff: noqa: S608 - SQL is put together from this file's literals

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import sqlite3
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from toro_core.definitions import load
from toro_core.json import dumps, loads
from toro_core.plugins import open_storage
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.storage import HistoryPlan, Key, Write
from toro_core.synthetic import generate
from toro_core.v1 import CallError, Content, Core, CreateResourceRequest, UpdateResourceRequest, connect

WRITERS = 8
SHARED = "Observation/shared"

_OF = "JOIN param p ON p.pid = i.param JOIN type t ON t.tid = p.tid JOIN resource r ON r.rid = i.rid"
INDEX = {
    "token": f"SELECT t.name, r.id, p.code, i.code, v.text FROM token i {_OF} JOIN value v ON v.uid = i.system",
    "reference": f"SELECT t.name, r.id, p.code, tt.name, tr.id FROM reference i {_OF}"
    " JOIN resource tr ON tr.rid = i.target JOIN type tt ON tt.tid = tr.tid",
    "uri": f"SELECT t.name, r.id, p.code, v.text FROM uri i {_OF} JOIN value v ON v.uid = i.value",
    "date": f"SELECT t.name, r.id, p.code, i.low, i.high FROM date i {_OF}",
    "string": f"SELECT t.name, r.id, p.code, i.folded, i.exact FROM string i {_OF}",
}
"""Every posting, in words instead of the database's own numbers."""


def index_of(database: Path) -> dict[str, set[tuple[Any, ...]]]:
    """Read the index of a database that is sound; every posting belongs to a resource that is there."""
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for table in (*INDEX, "ordering"):
            strays = f"SELECT count(*) FROM {table} i LEFT JOIN resource r ON r.rid = i.rid WHERE r.sort IS NULL"
            assert connection.execute(strays).fetchone() == (0,), table
        for table in ("token", "reference", "uri"):
            astray = f"SELECT count(*) FROM {table} i JOIN resource r ON r.rid = i.rid WHERE r.sort <> i.sort"
            assert connection.execute(astray).fetchone() == (0,), table
        return {table: set(connection.execute(sql)) for table, sql in INDEX.items()}
    finally:
        connection.close()


async def check(database: Path, keys: list[Key], scratch: Path) -> None:
    """Compare the index with that of the same resources written anew."""
    extractor = Extractor(load(), ())
    for left in scratch.parent.glob(f"{scratch.name}*"):
        left.unlink()
    async with open_storage(f"sqlite:///{database}") as storage, open_storage(f"sqlite:///{scratch}") as anew:
        stored = [each for each in await storage.read_many(keys) if each is not None and not each.deleted]
        parsed = [(each.key, loads(each.json)) for each in stored]
        writes = [Write(key=key, body=body(json, key.id), rows=extractor.rows(json)) for key, json in parsed]
        await anew.commit(writes)
    assert index_of(database) == index_of(scratch)


def keys_of(database: Path) -> list[Key]:
    connection = sqlite3.connect(database)
    sql = "SELECT t.name, r.id FROM resource r JOIN type t ON t.tid = r.tid WHERE r.vid IS NOT NULL"
    try:
        return [Key(*row) for row in connection.execute(sql)]
    finally:
        connection.close()


def observation(number: int, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": f"http://codes.example.org/{number % 7}", "code": f"c{number}"}]},
        "subject": {"reference": f"Patient/p{number % 50}"},
        "effectiveDateTime": f"2024-05-{number % 28 + 1:02}",
        "valueString": f"{number} " + "x" * (number % 5000),
        "note": [{"text": f"{number}"}],
        **members,
    }


@dataclass
class Acknowledged:
    """What the server said it had stored: by name and version, the number that was sent."""

    versions: dict[tuple[str, int], int] = field(default_factory=dict)
    numbers: Any = field(default_factory=itertools.count)

    def add(self, name: str, etag: str, number: int) -> None:
        key = (name, int(etag[3:-1]))
        assert key not in self.versions, "a version was given twice"
        self.versions[key] = number


async def over_http(base: str, token: str, said: Acknowledged) -> None:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json", "prefer": "return=minimal"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as client:
        while True:
            number = next(said.numbers)
            answer = await client.post("/fhir/Observation", content=json.dumps(observation(number)))
            assert answer.status_code == 201, answer.text
            _, _, resource_type, id, _, _ = answer.headers["location"].rsplit("/", 5)
            said.add(f"{resource_type}/{id}", answer.headers["etag"], number)


async def over_grpc(core: Core, token: str, said: Acknowledged) -> None:
    metadata = (("authorization", f"Bearer {token}"),)
    while True:
        number = next(said.numbers)
        create = CreateResourceRequest(resource_type="Observation", json=json.dumps(observation(number)).encode())
        stored = (await core.CreateResource(create, metadata=metadata, timeout=10)).resource
        said.add(stored.name, stored.etag, number)
        number = next(said.numbers)
        again = json.dumps(observation(number, id="shared")).encode()
        update = UpdateResourceRequest(name=SHARED, json=again, allow_missing=True, content=Content.CONTENT_UNSPECIFIED)
        stored = (await core.UpdateResource(update, metadata=metadata, timeout=10)).resource
        said.add(stored.name, stored.etag, number)


async def write_until_killed(server: Any, grpc: str, token: str, said: Acknowledged, after: float) -> None:
    async def killed() -> None:
        await asyncio.sleep(after)
        server.kill()

    async def writing(work: Any) -> None:
        with suppress(httpx.TransportError):
            try:
                await work
            except CallError as error:
                if error.code != "UNAVAILABLE":
                    raise

    async with connect(grpc) as core, asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(writing(over_http(server.http, token, said)))
            tasks.create_task(writing(over_grpc(core, token, said)))
        tasks.create_task(killed())


async def verify(place: Any, said: Acknowledged) -> None:
    """Find every acknowledged version as it was sent, and no version of a resource missing before another."""
    last: dict[str, int] = defaultdict(int)
    for name, version in said.versions:
        last[name] = max(last[name], version)
    async with open_storage(place.storage) as storage:
        for (name, version), number in said.versions.items():
            stored = await storage.read(Key(*name.split("/")), version)
            assert loads(stored.json)["note"] == [{"text": f"{number}"}]
        if SHARED in last:
            plan = HistoryPlan(key=Key(*SHARED.split("/")), limit=100_000, max_bytes=1 << 40)
            versions = [each.version for each in (await storage.history(plan)).resources]
            assert versions == list(range(versions[0], 0, -1))
            assert versions[0] >= last[SHARED]
    keys = keys_of(place.database)
    assert {Key(*name.split("/")) for name in last} <= set(keys)
    await check(place.database, keys, place.folder / "anew.db")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def rounds_of_creating(place: Any, rounds: int, verify_every: int = 1) -> None:
    place.register("system/*.cruds")
    said = Acknowledged()
    chance = random.Random(rounds)  # noqa: S311 - when to kill
    for number in range(rounds):
        grpc = f"127.0.0.1:{free_port()}"
        with place.running("serve", "--port", "0", "--grpc", grpc) as server:
            token = place.token(server.http)
            before = len(said.versions)
            await write_until_killed(server, grpc, token, said, chance.uniform(0.1, 0.6))
        assert len(said.versions) > before, "nothing was written before the kill"
        if number % verify_every == 0:
            await verify(place, said)
    await verify(place, said)


async def test_every_acknowledged_write_survives_a_kill(place: Any) -> None:
    await rounds_of_creating(place, 5, verify_every=2)


@pytest.mark.slow
async def test_every_acknowledged_write_survives_hundreds_of_kills(place: Any) -> None:
    await rounds_of_creating(place, 200, verify_every=20)


def parts(place: Any, patients: int, size: int) -> list[list[Key]]:
    """Write synthetic records to files of `size` resources, each a batch of an import; return their keys."""
    keys = []
    for number, some in enumerate(_batched(generate(patients=patients), size)):
        (place.folder / f"part{number:03}.ndjson").write_bytes(b"\n".join(map(dumps, some)))
        keys.append([Key(each["resourceType"], each["id"]) for each in some])
    return keys


def _batched(resources: Any, size: int) -> Any:
    iterator = iter(resources)
    while some := list(itertools.islice(iterator, size)):
        yield some


def killed_import(place: Any, last: int, pause: float) -> int:
    """Import until that part is stored, kill after a pause, and return how many parts were said to be stored."""
    for left in place.folder.glob("toro.db*"):
        left.unlink()
    log: Path = place.log_of("import")
    log.unlink(missing_ok=True)
    with place.start("import", ".") as process:
        while f"part{last:03}.ndjson" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.002)
        time.sleep(pause)
        process.kill()
    return log.read_text().count("stored so far")


async def rounds_of_importing(place: Any, rounds: int) -> None:
    files = parts(place, patients=8, size=100)
    source = {
        Key(str(each["resourceType"]), str(each["id"])): each
        for path in place.folder.glob("part*.ndjson")
        for each in map(loads, path.read_bytes().splitlines())
    }
    chance = random.Random(rounds)  # noqa: S311 - when to kill
    for _ in range(rounds):
        told = killed_import(place, chance.randrange(len(files) - 3), chance.uniform(0, 0.05))
        there = set(keys_of(place.database))
        for number, keys in enumerate(files):
            found = there.intersection(keys)
            assert len(found) in ((len(keys),) if number < told else (0, len(keys))), f"part {number} is half there"
        async with open_storage(place.storage) as storage:
            for key in there:
                stored = loads((await storage.read(key)).json)
                kept = {name: value for name, value in stored.items() if name != "meta"}
                assert kept == {name: value for name, value in source[key].items() if name != "meta"}
        await check(place.database, list(there), place.folder / "anew.db")
    done = place.toro("import", ".")
    assert done.returncode == 0, done.stderr
    assert set(keys_of(place.database)) == set(source)
    await check(place.database, list(source), place.folder / "anew.db")


async def test_an_import_that_is_killed_leaves_whole_batches(place: Any) -> None:
    await rounds_of_importing(place, 3)


@pytest.mark.slow
async def test_an_import_that_is_killed_a_hundred_times_leaves_whole_batches(place: Any) -> None:
    await rounds_of_importing(place, 100)


async def test_the_check_sees_a_posting_too_many_and_one_too_few(place: Any) -> None:
    extractor = Extractor(load(), ())
    resource = loads(json.dumps(observation(1, id="a")).encode())
    rows = extractor.rows(resource)
    key = Key("Observation", "a")
    other = rows.references[0]._replace(id="other")
    wrong = [
        replace(rows, tokens=rows.tokens[1:]),
        replace(rows, references=(*rows.references, other)),
    ]
    for each in wrong:
        place.database.unlink(missing_ok=True)
        async with open_storage(place.storage) as storage:
            await storage.commit([Write(key=key, body=body(resource, "a"), rows=each)])
        with pytest.raises(AssertionError):
            await check(place.database, [key], place.folder / "anew.db")
