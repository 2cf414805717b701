"""One snapshot as NDJSON files."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from toro_core.definitions import load
from toro_core.errors import NotFound, StorageBusy, Unsupported
from toro_core.importing import find_files
from toro_core.moving import Selection, export
from toro_core.moving.folder import FolderExists, output_folder
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Lines, ScanPlan, Storage, Stored, Write
from toro_core.testing.memory import MemoryStorage

EXTRACTOR = Extractor(load(), ("http://here/fhir",))


def resource(type_: str, id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": type_, "id": id, **members}


async def put(storage: Storage, *resources: dict[str, Any]) -> int:
    stored = await storage.commit(
        [
            Write(key=Key(one["resourceType"], one["id"]), body=body(one, one["id"]), rows=EXTRACTOR.rows(one))
            for one in resources
        ]
    )
    return stored[0].at


def nothing(place: int, done: int) -> None:
    pass


async def filled(storage: Storage) -> None:
    await put(storage, resource("Patient", "a"), resource("Patient", "b"), resource("Patient", "gone"))
    await put(
        storage,
        resource("Observation", "of-a", subject={"reference": "Patient/a"}),
        resource("Observation", "of-b", subject={"reference": "http://here/fhir/Patient/b"}),
        resource("Observation", "elsewhere", subject={"reference": "http://there/fhir/Patient/a"}),
        resource("Organization", "o"),
    )
    members = [
        {"entity": {"reference": "http://here/fhir/Patient/b"}},
        {"entity": {"reference": "Patient/a"}, "inactive": True},
        {"entity": {"reference": "Practitioner/a"}},
    ]
    await put(storage, resource("Group", "g", type="person", actual=True, member=members))
    await storage.commit([Write(key=Key("Patient", "gone"), body=None)])


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def read(folder: Path) -> dict[str, list[str]]:
    return {
        path.stem: [json.loads(line)["id"] for line in path.read_bytes().splitlines()]
        for path in sorted(folder.glob("*.ndjson"))
    }


async def test_a_file_a_type_with_counts_and_hashes(tmp_path: Path) -> None:
    storage = MemoryStorage()
    await filled(storage)
    exported = await export(storage, tmp_path / "out", EXTRACTOR, Selection(), nothing)
    assert read(tmp_path / "out") == {
        "Group": ["g"],
        "Observation": ["of-a", "of-b", "elsewhere"],
        "Organization": ["o"],
        "Patient": ["a", "b"],
    }
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert [(one["type"], one["count"]) for one in manifest["output"]] == [
        (name, output.count) for name, output in exported.outputs.items()
    ]
    for one in manifest["output"]:
        assert hashlib.sha256((tmp_path / "out" / one["url"]).read_bytes()).hexdigest() == one["sha256"]
    lines = (tmp_path / "out/Patient.ndjson").read_bytes().splitlines()
    assert lines[0] == (await storage.read(Key("Patient", "a"))).json
    assert names(tmp_path) == ["out"]


async def test_compressed_files_have_the_same_lines(tmp_path: Path) -> None:
    storage = MemoryStorage()
    await filled(storage)
    plain = await export(storage, tmp_path / "plain", EXTRACTOR, Selection(), nothing)
    packed = await export(storage, tmp_path / "packed", EXTRACTOR, Selection(), nothing, gzipped=True)
    assert [one.hash for one in plain.outputs.values()] == [one.hash for one in packed.outputs.values()]
    assert (
        gzip.decompress((tmp_path / "packed/Patient.ndjson.gz").read_bytes())
        == (tmp_path / "plain/Patient.ndjson").read_bytes()
    )
    assert len(find_files([tmp_path / "packed"])) == 4


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(types=("Patient", "Encounter")), {"Patient": ["a", "b"]}),
        (Selection(patients=("a",)), {"Group": ["g"], "Observation": ["of-a"], "Patient": ["a"]}),
        (Selection(groups=("g",)), {"Group": ["g"], "Observation": ["of-b"], "Patient": ["b"]}),
        (
            Selection(groups=("g",), patients=("a",), types=("Observation",)),
            {"Observation": ["of-a", "of-b"]},
        ),
    ],
)
async def test_a_selection_narrows_it(selection: Selection, expected: dict[str, list[str]], tmp_path: Path) -> None:
    storage = MemoryStorage()
    await filled(storage)
    await export(storage, tmp_path / "out", EXTRACTOR, selection, nothing)
    assert read(tmp_path / "out") == expected


async def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    storage = MemoryStorage()
    await filled(storage)
    before = (await storage.watermark()).at
    await put(storage, resource("Patient", "late"), resource("Organization", "o", name="renamed"))
    await export(storage, tmp_path / "out", EXTRACTOR, Selection(since=before), nothing)
    assert read(tmp_path / "out") == {"Organization": ["o"], "Patient": ["late"]}


class Busy(MemoryStorage):
    """Is written to while it is scanned, and may fail then."""

    fails = False

    async def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        async for batch in super().scan(plan):
            yield batch
            await put(self, resource("Patient", "a", active=True), resource("Patient", f"new{batch[0].seq}"))
            if self.fails:
                raise StorageBusy


async def test_it_is_one_snapshot_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    storage = Busy()
    await filled(storage)
    first = (await storage.read(Key("Patient", "a"))).json
    await export(storage, tmp_path / "out", EXTRACTOR, Selection(types=("Patient",)), nothing)
    assert read(tmp_path / "out") == {"Patient": ["a", "b"]}
    assert (tmp_path / "out/Patient.ndjson").read_bytes().startswith(first + b"\n")


async def test_where_it_fails_there_is_no_folder(tmp_path: Path) -> None:
    storage = Busy()
    await filled(storage)
    storage.fails = True
    with pytest.raises(StorageBusy):
        await export(storage, tmp_path / "out", EXTRACTOR, Selection(), nothing)
    assert names(tmp_path) == []


async def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    storage = MemoryStorage()
    with pytest.raises(NotFound):
        await export(storage, tmp_path / "out", EXTRACTOR, Selection(groups=("nobody",)), nothing)
    with pytest.raises(Unsupported, match="snapshot_scan"):
        await export(MemoryStorage(without=["snapshot_scan"]), tmp_path / "out", EXTRACTOR, Selection(), nothing)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(FolderExists):
        await export(storage, tmp_path / "full", EXTRACTOR, Selection(), nothing)
    await export(storage, tmp_path / "new/er", EXTRACTOR, Selection(), nothing)
    assert names(tmp_path / "new/er") == ["manifest.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *, gzipped: bool) -> IO[bytes]:
        path.touch()
        return Path("/dev/full").open("wb")

    monkeypatch.setattr("toro_core.moving.folder._create", full)

    def write() -> None:
        with output_folder(tmp_path / "out", gzipped=False) as folder:
            folder.write(Lines("Patient", 1, b"{}"))
            folder.write(Lines("Patient", 1, b" " * 100_000))

    with pytest.raises(OSError, match="No space left"):
        write()
    assert list(tmp_path.iterdir()) == []
