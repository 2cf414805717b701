"""Folders: this storage's own, and those that others wrote."""

from __future__ import annotations

import errno
import gzip
import hashlib
import itertools
import json
import os
import re
import stat
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from toro_core.definitions import load
from toro_core.errors import Damaged, StorageBusy, Unsupported
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor
from toro_core.search.plan import AllOf, Present, Reference, SearchPlan, SortKey, Token
from toro_core.search.reindex import prepare
from toro_core.storage import Body, Explains, HistoryPlan, Indexed, Key, Rows, ScanPlan, Storage, TokenRow, Write
from toro_core.testing import StorageConformance
from toro_core.testing.making import TYPE, delete, found, key, walk, write
from toro_ndjson import open_ndjson
from toro_ndjson.lines import sealed

CURATED = Path(__file__).resolve().parents[3] / "shared" / "data" / "curated.tar.xz"
_MALE = SearchPlan(type="Patient", criterion=Token(param="gender", code="male"))


def _url(folder: Path, *, read_only: bool = False) -> str:
    return f"ndjson:///{folder}" + ("?mode=ro" if read_only else "")


def _patient(id: str, *, gender: str = "male", **members: object) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": id, "gender": gender, **members}).encode()


def _meta(version: str, updated: str) -> dict[str, str]:
    return {"versionId": version, "lastUpdated": updated}


def _files(folder: Path) -> dict[str, str]:
    return {
        str(each.relative_to(folder)): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in folder.rglob("*")
        if each.is_file() and "_toro" not in each.parts
    }


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Storage]:
    """Open a storage as the core does."""
    async with open_storage(url) as storage:
        await prepare(storage, Extractor(load(), ()))
        yield storage


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A bulk export as servers write them, and as they do not."""
    folder = tmp_path / "export"
    folder.mkdir()
    lines = [
        b"\xef\xbb\xbf" + _patient("bom", meta=_meta("7", "2020-01-02T03:04:05.678+01:00")),
        b"",
        _patient("crlf") + b"\r",
        b'{"resourceType":"Patient","id":"torn","gender":"ma',
        b"not JSON at all",
        _patient("../../etc/passwd"),
        b'{"resourceType":"../../etc","id":"1"}',
        b'{"resourceType":"Patient"}',
        b"[1,2]",
        _patient("twice", gender="female", meta=_meta("2", "2021-01-01T00:00:00Z")),
        _patient("twice", meta=_meta("1", "2020-01-01T00:00:00Z")),
        b'{"resourceType":"Patient","id":"members","id":"members"}',
        b'{"resourceType":"Patient","id":"shape","name":"no list of objects","gender":{"a":[1]},"identifier":7}',
        b'{"resourceType":"Dragon","id":"1"}',
        b'\xff\xfe{"resourceType":"Patient","id":"bytes"}',
        _patient("last", meta={"versionId": "not a number", "lastUpdated": "yesterday"}),
    ]
    (folder / "Patient.000.ndjson").write_bytes(b"\n".join(lines))
    observations = [
        {"resourceType": "Observation", "id": str(n), "status": "final", "subject": {"reference": "Patient/bom"}}
        for n in range(3)
    ]
    with gzip.open(folder / "1.Observation.ndjson.gz", "wt") as file:
        file.writelines(json.dumps(each) + "\n" for each in observations)
    (folder / "readme.txt").write_text("not NDJSON")
    return folder


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_foreign_folder_is_served_as_it_lies(
    export: Path, caplog: pytest.LogCaptureFixture, read_only: bool
) -> None:
    before = _files(export)
    async with _opened(_url(export, read_only=read_only)) as storage:
        assert await found(storage, _MALE) >= {"bom", "crlf", "last"}
        assert await found(storage, SearchPlan(type="Patient")) - {"shape"} == {"bom", "crlf", "twice", "last"}
        assert len(await found(storage, SearchPlan(type="Observation"))) == 3
        bom = await storage.read(Key("Patient", "bom"))
        assert (bom.version, bom.at) == (7, 1577930645678)
        assert bom.json == _patient("bom", meta=_meta("7", "2020-01-02T03:04:05.678+01:00"))
        assert (await storage.read(Key("Patient", "crlf"))).json == _patient("crlf")
        assert (await storage.read(Key("Patient", "twice"))).version == 2
        by_time = SearchPlan(type="Patient", sort=(SortKey(param="_lastUpdated"),))
        assert (await walk(storage, by_time))[:2] == ["bom", "twice"]
        scanned = [each async for batch in storage.scan(ScanPlan(as_of=1 << 60)) for each in batch]
        assert (
            len(scanned) == len({each.key for each in scanned}) == await storage.count(SearchPlan(type="Patient")) + 3
        )
    for line in (4, 5, 6, 7, 8, 9, 11, 12, 14, 15):
        assert f"line {line} of Patient.000.ndjson" in caplog.text, line
    for line in (1, 2, 3, 10, 16):
        assert f"line {line} of Patient.000.ndjson" not in caplog.text, line
    assert "passwd" not in caplog.text
    assert _files(export) == before
    assert (export / "_toro").exists() is not read_only


@pytest.mark.skipif(not CURATED.is_file(), reason="the shared sample data is not there")
async def test_an_export_of_sample_data_is_served_byte_for_byte(tmp_path: Path) -> None:
    names = [f"curated/{type_}.ndjson.gz" for type_ in ("Patient", "Practitioner", "Condition")]
    with tarfile.open(CURATED) as archive:
        archive.extractall(tmp_path, [archive.getmember(name) for name in names], filter="data")
    lines = [line for name in names for line in gzip.decompress((tmp_path / name).read_bytes()).splitlines()]
    resources = [json.loads(line) for line in lines]
    async with _opened(_url(tmp_path / "curated", read_only=True)) as storage:
        keys = [Key(one["resourceType"], one["id"]) for one in resources]
        assert [stored and stored.json for stored in await storage.read_many(keys)] == lines
        males = {one["id"] for one in resources if (one["resourceType"], one.get("gender")) == ("Patient", "male")}
        assert await found(storage, _MALE) == males
        of_patient: dict[str, set[str]] = {}
        for one in resources:
            if one["resourceType"] == "Condition":
                of_patient.setdefault(one["subject"]["reference"].removeprefix("Patient/"), set()).add(one["id"])
        assert len(of_patient) > 20
        for patient, expected in list(of_patient.items())[:20]:
            plan = SearchPlan(type="Condition", criterion=Reference(param="subject", type="Patient", id=patient))
            assert await found(storage, plan) == expected


@pytest.mark.slow
async def test_a_hundred_thousand_resources_are_opened_in_seconds(tmp_path: Path) -> None:
    rows = Rows(tokens=(TokenRow("gender", "", "male"), TokenRow("tag", "", "x")))
    async with open_ndjson(_url(tmp_path)) as storage:
        for n in range(100):
            await storage.commit([write(f"{n}-{m}", rows, type="Patient", note="x" * 400) for m in range(1000)])
    started = time.monotonic()
    async with open_ndjson(_url(tmp_path)) as storage:
        assert time.monotonic() - started < 15
        assert await storage.count(_MALE) == 100_000


async def test_where_the_rules_of_extraction_have_changed_the_index_is_rebuilt(tmp_path: Path) -> None:
    async with _opened(_url(tmp_path)) as storage:
        body = Body(before=b'{"resourceType":"Patient","id":"a","meta":{', after=b'},"gender":"male"}')
        await storage.commit([Write(key=Key("Patient", "a"), body=body, rows=Rows())])
        assert await found(storage, _MALE) == set()
    async with _opened(_url(tmp_path)) as storage:
        assert await found(storage, _MALE) == set(), "indexed again although nothing has changed"
        await storage.put_state("search/rules", b'{"fingerprint":"other","parameters":{}}')
    async with _opened(_url(tmp_path)) as storage:
        assert await found(storage, _MALE) == {"a"}
        assert (await storage.read(Key("Patient", "a"))).version == 1


async def test_a_search_is_explained(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit(
            [write(f"p{n}", Rows(tokens=(TokenRow("gender", "", "male"),)), type="Patient") for n in "ab"]
        )
        await storage.commit([write("c", type="Patient")])
        assert isinstance(storage, Explains)
        criterion = AllOf((_MALE.criterion, Present(param="name")))
        text = await storage.explain(SearchPlan(type="Patient", criterion=criterion))
        assert text.splitlines() == [
            "3 resources of Patient are indexed in memory.",
            "Postings of tokens, references, compartments and ids leave 2.",
            "Evaluated on each: name.",
        ]


async def test_the_query_of_the_page_reads_a_folder_while_it_is_served(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the page's query needs DuckDB")
    page = (Path(__file__).parents[2] / "docs" / "storage.md").read_text("utf-8")
    (query,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    async with _opened(_url(tmp_path)) as storage:
        for id, gender in (("a", "male"), ("b", "female"), ("c", "male")):
            body = Body(before=b'{"resourceType":"Patient","meta":{', after=b'},"gender":"%s"}' % gender.encode())
            await storage.commit([Write(key=Key("Patient", id), body=body)])
    async with _opened(_url(tmp_path)):
        with duckdb.connect() as connection:
            connection.execute(f"SET file_search_path = '{tmp_path}'")
            assert connection.execute(query).fetchall() == [("female", 1), ("male", 2)]


async def test_writes_go_beside_a_foreign_folder(export: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = _files(export)
    male = Rows(tokens=(TokenRow("gender", "", "male"),))
    patient = Key("Patient", "crlf")
    async with _opened(_url(export)) as storage:
        (stored,) = await storage.commit([write("bom", male, type="Patient", note="changed")])
        assert stored.version == 8
        await storage.commit([delete("crlf", type="Patient"), write("new", male, type="Patient")])
        expected = await found(storage, _MALE)
        assert {"bom", "new"} <= expected
        assert "crlf" not in expected
    assert _files(export) == before
    for _ in range(2):
        caplog.clear()
        async with _opened(_url(export)) as storage:
            assert await found(storage, _MALE) == expected
            assert b"changed" in (await storage.read(Key("Patient", "bom"))).json
            assert (await storage.read(Key("Patient", "bom"), 7)).at == 1577930645678
            page = await storage.history(HistoryPlan(key=patient))
            assert [each.version for each in page.resources] == [2, 1]
            assert page.resources[0].deleted
    current = (export / "_toro/current/Patient.ndjson").read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in current] == ["bom", "new"]
    assert _files(export) == before


async def test_what_others_add_and_change_is_indexed_when_the_folder_is_opened_again(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _opened(_url(export)) as storage:
        await storage.commit([write("mine", type="Patient")])
    path = export / "Patient.000.ndjson"
    path.write_bytes(path.read_bytes().replace(b'"crlf", "gender": "male"', b'"crlf", "gender": "other"'))
    (export / "more.ndjson").write_bytes(_patient("more"))
    extracted: list[str] = []
    rows = Extractor.rows

    def noting(self: Extractor, resource: Mapping[str, object]) -> Rows:
        extracted.append(str(resource["id"]))
        return rows(self, resource)  # type: ignore[arg-type]

    monkeypatch.setattr(Extractor, "rows", noting)
    async with _opened(_url(export)) as storage:
        assert await found(storage, _MALE) >= {"bom", "last", "more"}
        assert "crlf" not in await found(storage, _MALE)
        assert {"crlf", "more"} <= set(extracted)
        assert "bom" not in extracted
        assert (await storage.read(Key("Patient", "mine"))).version == 1


async def test_a_damaged_gzip_file_is_read_up_to_the_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = b"".join(_patient(f"p{n}", text=os.urandom(200).hex()) + b"\n" for n in range(5000))
    packed = gzip.compress(lines)
    (tmp_path / "Patient.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    async with open_ndjson(_url(tmp_path, read_only=True)) as storage:
        assert 1000 < await storage.count(SearchPlan(type="Patient")) < 4000
    assert "Patient.ndjson.gz in" in caplog.text
    assert "damaged" in caplog.text


async def test_what_lies_before_the_damage_of_a_small_gzip_file_is_served(tmp_path: Path) -> None:
    packed = gzip.compress(_patient("first") + b"\n") + gzip.compress(_patient("second") + b"\n")
    (tmp_path / "Patient.ndjson.gz").write_bytes(packed + b"nothing of gzip's")
    (tmp_path / "no.ndjson.gz").write_bytes(b"not packed at all")
    (tmp_path / "empty.ndjson.gz").write_bytes(b"")
    async with open_ndjson(_url(tmp_path, read_only=True)) as storage:
        assert await found(storage, SearchPlan(type="Patient")) == {"first", "second"}


async def test_a_line_that_is_far_too_long_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("toro_ndjson.foreign._LONGEST", 3 << 20)
    long = _patient("long", text="x" * (3 << 20))
    fits = _patient("fits", text="x" * (2 << 20))
    lines = [_patient("first"), long, fits, b"", _patient("last"), long]
    (tmp_path / "Patient.ndjson").write_bytes(b"\n".join(lines))
    async with open_ndjson(_url(tmp_path, read_only=True)) as storage:
        assert await found(storage, SearchPlan(type="Patient")) == {"first", "fits", "last"}
        assert (await storage.read(Key("Patient", "fits"))).json == fits
        assert (await storage.read(Key("Patient", "last"))).json == lines[4]
    for line in (2, 6):
        assert f"line {line} of Patient.ndjson" in caplog.text
        assert "has more than 3 MiB" in caplog.text


async def test_links_and_devices_are_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = tmp_path / "secret.ndjson"
    secret.write_bytes(_patient("secret"))
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "Patient.ndjson").symlink_to(secret)
    os.mkfifo(folder / "pipe.ndjson")
    (folder / "folder.ndjson").mkdir()
    (folder / "real.ndjson").write_bytes(_patient("real"))
    async with open_ndjson(_url(folder)) as storage:
        assert await found(storage, SearchPlan(type="Patient")) == {"real"}
    assert "Patient.ndjson in" in caplog.text
    assert "link" in caplog.text


@pytest.mark.parametrize("name", ["_toro", "_toro/history", "_toro/journal.ndjson", "_toro/lock", "Patient.ndjson"])
async def test_a_link_in_the_place_of_an_own_file_leads_nowhere(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(b"precious")
    folder = tmp_path / "data"
    async with open_ndjson(_url(folder)) as storage:
        await storage.commit([write("a", type="Patient"), write("a")])
    path = folder / name
    if path.is_dir():
        path.rename(tmp_path / "moved")
        path.symlink_to(elsewhere)
    else:
        path.unlink()
        path.symlink_to(elsewhere / "file")
    with pytest.raises((Damaged, StorageBusy)):
        async with open_ndjson(_url(folder)):
            pass
    assert [each.name for each in elsewhere.iterdir()] == ["file"]
    assert (elsewhere / "file").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "type_", ["../evil", "Patient/../../evil", "/etc/evil", "..", "", "Pat\0ient", "_toro", "Évil"]
)
async def test_no_type_or_id_leads_out_of_the_folder(tmp_path: Path, type_: str) -> None:
    folder = tmp_path / "data"
    async with open_ndjson(_url(folder)) as storage:
        with pytest.raises(Unsupported):
            await storage.commit([write("a", type=type_)])
        await storage.commit([write("../../evil"), write("/etc/evil"), write("a\\b"), write("..")])
        await storage.put_state("../../evil", b"")
    async with open_ndjson(_url(folder)) as storage:
        assert await found(storage, SearchPlan(type=TYPE)) == {"../../evil", "/etc/evil", "a\\b", ".."}
        assert (await storage.get_state("../../evil")) is not None
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data"]
    assert sorted(each.name for each in folder.iterdir()) == ["Observation.ndjson", "_toro"]


def _deny(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let files of these names be what another user may not read: whoever runs tests may be allowed everything."""

    def denied(path: Any, *args: Any, real: Callable[..., int] = os.open, **options: Any) -> int:
        if path in names:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", denied)


@pytest.mark.parametrize(
    "name", ["Patient.ndjson", "index-1.ndjson", "state-1.ndjson", "journal.ndjson", "lock", "manifest.json", "_toro"]
)
async def test_own_files_that_may_not_be_read_are_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", type="Patient")])
    _deny(monkeypatch, name)
    with pytest.raises(StorageBusy, match=r"failed \(Permission denied\); look at .* permissions"):
        async with open_ndjson(_url(tmp_path)):
            pass


async def test_others_files_that_may_not_be_read_are_left_out_and_named(
    export: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _deny(monkeypatch, "Patient.000.ndjson")
    async with open_ndjson(_url(export)) as storage:
        assert await found(storage, SearchPlan(type="Patient")) == set()
        assert len(await found(storage, SearchPlan(type="Observation"))) == 3
    assert "Patient.000.ndjson in" in caplog.text
    assert "cannot be read (Permission denied) and is left out; look at its permissions" in caplog.text


async def test_a_mount_in_the_place_of_a_folder_inside_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()
    monkeypatch.setattr("toro_ndjson.folder.Folder.device", lambda _: next(numbers))
    with pytest.raises(Unsupported, match=r"file system of .*[?]beside="):
        async with open_ndjson(_url(tmp_path)):
            pass


async def test_files_and_new_folders_are_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "er"
    async with open_ndjson(_url(folder)) as storage:
        await storage.commit([write("a"), write("a")])
    paths = [folder.parent, folder, *folder.rglob("*")]
    assert len(paths) > 8
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_a_file_that_others_put_into_an_own_folder_is_not_overwritten(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a")])
    (tmp_path / "Patient.ndjson").write_bytes(_patient("theirs"))
    with pytest.raises(Unsupported, match=r"Patient[.]ndjson was put into the folder by something else.*toro import"):
        async with open_ndjson(_url(tmp_path)):
            pass
    assert (tmp_path / "Patient.ndjson").read_bytes() == _patient("theirs")


async def test_an_own_type_file_that_was_edited_is_refused(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a")])
    with (tmp_path / "Observation.ndjson").open("ab") as file:
        file.write(b'{"resourceType":"Observation","id":"b"}\n')
    with pytest.raises(Damaged, match=r"Observation[.]ndjson was changed by something else"):
        async with open_ndjson(_url(tmp_path)):
            pass


async def test_read_only_nothing_is_written(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a", Rows(tokens=(TokenRow("tag", "", "x"),)))])
        await storage.put_state("kept", b"v")
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    async with open_ndjson(_url(tmp_path, read_only=True)) as storage:
        assert "transactions" not in storage.capabilities
        with pytest.raises(Unsupported, match="read-only"):
            await storage.commit([write("b")])
        # Tokens and keys of a server that runs on it are kept in memory.
        assert await storage.put_state("k", b"v") > 0
        assert await storage.get_state("kept") is not None
        await storage.reindex([Indexed(key("a"), 1, Rows(tokens=(TokenRow("tag", "", "y"),)))])
        assert await found(storage, SearchPlan(type=TYPE, criterion=Token(param="tag", code="y"))) == {"a"}
    assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before


@pytest.mark.parametrize("read_only", [False, True])
async def test_everything_may_be_kept_in_another_folder(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    before = sorted(export.rglob("*")), _files(export)
    url = f"ndjson:///{export}?{'mode=ro&' if read_only else ''}beside={tmp_path}/beside"
    async with _opened(url) as storage:
        await storage.put_state("k", b"v")
        if read_only:
            with pytest.raises(Unsupported, match="read-only"):
                await storage.commit([write("new", type="Patient")])
        else:
            await storage.commit([write("new", type="Patient"), delete("crlf", type="Patient")])
        expected = await found(storage, SearchPlan(type="Patient"))
        males = await found(storage, _MALE)
    monkeypatch.setattr(Extractor, "rows", None)  # nothing is extracted again
    async with _opened(url) as storage:
        assert await found(storage, SearchPlan(type="Patient")) == expected
        assert await found(storage, _MALE) == males
        assert {"new" in expected, "crlf" not in expected} == {not read_only}
        assert (await storage.get_state("k")) is not None
    assert (sorted(export.rglob("*")), _files(export)) == before


async def test_a_folder_that_is_not_there_is_not_made_to_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageBusy, match="No such file"):
        async with open_ndjson(_url(tmp_path / "nowhere", read_only=True)):
            pass


@pytest.mark.parametrize("url", ["ndjson://", "ndjson:///", "ndjson://data", "ndjson:///?mode=ro"])
async def test_a_url_without_a_folder_is_refused(url: str) -> None:
    with pytest.raises(Unsupported, match="ndjson:///data"):
        async with open_ndjson(url):
            pass


async def test_nothing_else_in_a_url_is_decoded(tmp_path: Path) -> None:
    folder = tmp_path / "what? 1%20#&mode=rw"
    async with open_ndjson(_url(folder)) as storage:
        await storage.commit([write("a")])
    async with open_ndjson(_url(folder, read_only=True)) as storage:
        assert await found(storage, SearchPlan(type=TYPE)) == {"a"}
    assert [each.name for each in tmp_path.iterdir()] == [folder.name]


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)):
        pass
    path = tmp_path / "_toro/manifest.json"
    manifest = json.loads(path.read_bytes()) | {"format": 99}
    del manifest["crc"]
    unknown = json.dumps(manifest | {"unheard": "of"}).encode()
    for written in (json.dumps(manifest).encode() + b"\n", sealed(unknown)):
        path.write_bytes(written)
        with pytest.raises(Unsupported, match=r"format 99.*upgrade toro-fhir"):
            async with open_ndjson(_url(tmp_path)):
                pass


async def test_a_closed_storage_answers_nothing(tmp_path: Path) -> None:
    async with open_ndjson(_url(tmp_path)) as storage:
        await storage.commit([write("a")])
    with pytest.raises(StorageBusy, match="closed"):
        await storage.read(key("a"))
    with pytest.raises(StorageBusy, match="closed"):
        await storage.commit([write("late")])


@pytest.mark.parametrize(
    ("inline", "few", "kept"),
    [
        (5, 1, 3),
        (20_000, 0, 4),
        pytest.param(0, 2_000, 500, marks=pytest.mark.slow),
        pytest.param(5, 0, 0, marks=pytest.mark.slow),
        pytest.param(200, 1, 3, marks=pytest.mark.slow),
    ],
)
async def test_every_way_to_the_answer_is_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: int, few: int, kept: int
) -> None:
    # The suite's sixty resources are few; with these bounds they are many.
    monkeypatch.setattr("toro_core.testing.differential._PLANS", 60)
    for module in ("finding", "walking"):
        monkeypatch.setattr(f"toro_ndjson.{module}.INLINE", inline)
    monkeypatch.setattr("toro_ndjson.finding._PIECE", 7)
    monkeypatch.setattr("toro_ndjson.finding._SMALL", few)
    monkeypatch.setattr("toro_ndjson.storage._INLINE", inline)
    monkeypatch.setattr("toro_ndjson.rows._FEW", kept)
    monkeypatch.setattr("toro_ndjson.postings._FEW", 1 + kept % 3)
    monkeypatch.setattr("toro_ndjson.ordered._BLOCK", 1 + kept % 5)
    monkeypatch.setattr("toro_ndjson.ordered._PIECE", 1 + kept % 3)
    monkeypatch.setattr("toro_ndjson.walking._PIECE", 7)
    monkeypatch.setattr("toro_ndjson.shelf._INLINE", inline)
    monkeypatch.setattr("toro_ndjson.shelf._MOST", 1 + few % 4)
    monkeypatch.setattr("toro_ndjson.columns._MOST_ODD", few)
    async with open_ndjson(_url(tmp_path), compact_bytes=1_000) as storage:
        await StorageConformance().test_any_plan_finds_and_orders_as_the_reference_says(storage, 100 + few)
