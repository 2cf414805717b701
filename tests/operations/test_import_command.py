"""`toro import` from the outside: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import gzip
import json
import re
import resource
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from toro_core.plugins import open_storage
from toro_core.storage import Key
from toro_core.v1 import ExchangeAssertionRequest, connect

SOUND = '{"resourceType":"Patient","id":"%s","birthDate":"1970-01-31"}\n'
ODD = '{"resourceType":"Patient","id":"odd","colour":"crimson"}\n'
SHAPELESS = '{"resourceType":"Patient","id":"shapeless","name":"Jane","birthDate":[1]}\n'


def count(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        found: int = connection.execute("SELECT count(*) FROM resource WHERE sort IS NOT NULL").fetchone()[0]
    connection.close()
    return found


def check(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_what_is_wrong_is_told_by_file_and_line_and_the_rest_is_stored(place: Any) -> None:
    (place.folder / "in").mkdir()
    (place.folder / "in/a.ndjson").write_text(SOUND % "1" + "\n" + '{"resourceType":\n' + ODD + SHAPELESS)
    (place.folder / "in/b.ndjson.gz").write_bytes(
        gzip.compress((SOUND % "2" + '{"resourceType":"Pateint"}\n').encode())
    )
    (place.folder / "in/c.json").write_text('{"resourceType":"Bundle","type":[],"entry":[{"resource":5},{}]}')
    (place.folder / "in/notes.txt").write_text("not looked at")
    done = place.toro("import", "in")
    assert done.returncode == 1
    assert re.search(r"^ +3 Patient\n +3 resources in ", done.stdout, re.MULTILINE)
    told = [line for line in done.stderr.splitlines() if "stored so far" not in line]
    assert [line.partition(": ")[0] for line in told] == [
        "in/a.ndjson:4",  # stored all the same
        "in/a.ndjson:3",
        "in/a.ndjson:5",
        "in/b.ndjson.gz:2",
        "in/c.json entry 0",
        "in/c.json entry 1",
    ]
    assert "stored, although it breaks the definitions: Patient.colour is not an element of Patient" in told[0]
    assert "ends too early" in told[1]
    assert "refused: Patient.name" in told[2]
    assert "FHIR R4 has no resource type" in told[3]
    assert not any(word in done.stderr for word in ("crimson", "Jane", "1970", "Traceback"))
    assert count(place.database) == 3


def test_strict_refuses_what_breaks_the_definitions(place: Any) -> None:
    (place.folder / "a.ndjson").write_text(SOUND % "1" + ODD)
    done = place.toro("import", "a.ndjson", "--strict")
    assert done.returncode == 1
    assert "a.ndjson:2: refused: Patient.colour is not an element of Patient" in done.stderr
    assert count(place.database) == 1
    assert place.toro("import", "a.ndjson").returncode == 0
    assert count(place.database) == 2


def test_with_stop_nothing_is_read_after_the_first_that_is_refused(place: Any) -> None:
    (place.folder / "a.ndjson").write_text(SOUND % "1" + "{\n" + SOUND % "2")
    (place.folder / "b.ndjson").write_text(SOUND % "3")
    done = place.toro("import", "*.ndjson", "--stop")
    assert done.returncode == 1
    assert "a.ndjson:2: refused" in done.stderr
    assert "        1 refused\n" in done.stdout
    assert count(place.database) == 1
    assert place.toro("import", "*.ndjson", "--continue").returncode == 1
    assert count(place.database) == 3


def test_of_many_complaints_the_first_are_told(place: Any) -> None:
    (place.folder / "a.ndjson").write_text("{}\n" * 30)
    done = place.toro("import", "a.ndjson")
    assert done.returncode == 1
    assert done.stderr.count(": refused: ") == 20
    assert "and 10 more refused" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing argument"),
        (("gone.json",), 1, "gone.json: no such file or folder"),
        (("a.ndjson", "--core", "127.0.0.1:1", "--storage", "sqlite:///x.db"), 2, "exclude each other"),
        (("a.ndjson", "--core", "127.0.0.1:1"), 2, "TORO_TOKEN"),
        (("a.ndjson", "--core", "127.0.0.1:1", "--token", "x"), 1, "cannot be reached"),
        (("a.ndjson", "--storage", "sqlite:///a.ndjson"), 1, "not a SQLite database"),
        (("a.ndjson", "--storage", "nosuch:///x"), 1, "no installed plugin"),
    ],
)
def test_what_cannot_work_is_said(place: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    (place.folder / "a.ndjson").write_text(SOUND % "1" * 20)
    done = place.toro("import", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_ids_are_kept_and_importing_again_makes_versions(place: Any) -> None:
    (place.folder / "a.ndjson").write_text(SOUND % "one")
    for _ in range(2):
        assert place.toro("import", "a.ndjson").returncode == 0
    with sqlite3.connect(place.database) as connection:
        assert connection.execute("SELECT id, version FROM resource").fetchall() == [("one", 2)]
    connection.close()


async def token(core: str, place: Any) -> str:
    async with connect(core) as client:
        url = "http://127.0.0.1:8080/auth/token"
        request = ExchangeAssertionRequest(assertion=place.assertion(url), scopes=["system/*.cu"], token_url=url)
        return (await client.ExchangeAssertion(request, timeout=10)).access_token


async def test_a_running_core_takes_an_import_with_a_token(place: Any, synthetic: list[dict[str, Any]]) -> None:
    from toro_core.json import dumps

    some = synthetic[:300]
    (place.folder / "some.ndjson").write_bytes(b"\n".join(map(dumps, some)))
    (place.folder / "odd.ndjson").write_text(ODD)
    place.register("system/*.cu")
    with place.running("core", "--listen", "127.0.0.1:0") as core:
        access = await token(core.grpc, place)
        done = place.toro("import", "some.ndjson", "--core", core.grpc, TORO_TOKEN=access)
        assert done.returncode == 0, done.stderr
        assert f"{len(some)} resources" in done.stdout
        refused = place.toro("import", "odd.ndjson", "--core", core.grpc, TORO_TOKEN=access)
        assert refused.returncode == 1
        assert "odd.ndjson:1: refused: Patient.colour is not an element" in refused.stderr
        forged = place.toro("import", "some.ndjson", "--core", core.grpc, TORO_TOKEN=access[:-4])
        assert forged.returncode == 1
        assert access[:20] not in forged.stderr + forged.stdout
        assert "Error: " in forged.stderr
    async with open_storage(place.storage) as storage:
        keys = [Key(each["resourceType"], each["id"]) for each in some]
        assert all(await storage.read_many(keys))


def many(place: Any, files: int, lines: int = 1500) -> None:
    for number in range(files):
        text = "".join(SOUND % f"p{number}-{line}" for line in range(lines))
        (place.folder / f"part{number:02}.ndjson").write_text(text)


def test_ctrl_c_ends_with_130_and_the_batches_before_are_stored(place: Any) -> None:
    many(place, 30)
    with place.start("import", ".") as process:
        log = place.log_of("import")
        while "part03.ndjson" not in log.read_text():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 130
    assert "Traceback" not in log.read_text()
    assert "Stopped" in log.read_text()
    told = int(re.findall(r"(\d+) Patient\n", output)[0])
    stored = count(place.database)
    assert 4 * 1500 <= told <= stored < 30 * 1500
    assert stored % 1500 == 0
    check(place.database)


def test_a_full_disk_is_said_and_the_database_works_afterwards(place: Any) -> None:
    many(place, 8)

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    done = place.toro("import", ".", preexec_fn=small_disk)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Stopped; stored until then" in done.stderr
    assert "Error: " in done.stderr.splitlines()[-1]
    stored = count(place.database)
    told = re.findall(r"(\d+) Patient\n", done.stdout)
    assert stored == int(told[0])
    assert stored % 1500 == 0
    check(place.database)
    assert place.toro("import", ".").returncode == 0
    assert count(place.database) == 8 * 1500


async def test_a_storage_at_its_limit_says_so_and_takes_reads(place: Any) -> None:
    from toro_core.definitions import load
    from toro_core.errors import StorageFull
    from toro_core.importing import Report, StorageSink, import_files
    from toro_core.search.extract import Extractor
    from toro_sqlite import open_sqlite

    many(place, 8)
    report = Report()
    definitions = load()
    files = sorted(place.folder.glob("*.ndjson"))
    async with open_sqlite(place.storage, max_bytes=4_000_000) as storage:
        sink = StorageSink(storage, definitions, Extractor(definitions, ()), strict=True)
        with pytest.raises(StorageFull):
            await import_files(sink, files, report, lambda path, report: None)
        assert 0 < report.stored["Patient"] < 8 * 1500
        assert (await storage.read(Key("Patient", "p0-0"))).version == 1
    assert count(place.database) == report.stored["Patient"]
    check(place.database)


def test_progress_is_a_line_a_file_where_there_is_no_terminal(place: Any) -> None:
    many(place, 2, lines=3)
    done = place.toro("import", ".")
    assert done.stderr.splitlines() == [
        "part00.ndjson: 3 resources stored so far",
        "part01.ndjson: 6 resources stored so far",
    ]
    assert json.loads((place.folder / "part00.ndjson").read_text().splitlines()[0])["id"] == "p0-0"


def test_a_deletion_that_cannot_be_understood_is_refused_by_its_line_and_the_others_are_done(place: Any) -> None:
    out = place.folder / "out"
    out.mkdir()
    manifest = {
        "transactionTime": "2026-01-01T00:00:00Z",
        "output": [{"url": "p.ndjson"}],
        "deleted": [{"url": "d.ndjson"}],
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "p.ndjson").write_text("".join(SOUND % name for name in "abcd"))
    urls = [["Patient/a"], ["Pateint/b"], ["Patient/b?x=y"], ["https://there/fhir/Patient/c"]]
    bundles = [{"entry": [{"request": {"method": "DELETE", "url": url}} for url in some]} for some in urls]
    lines = [*map(json.dumps, bundles), "{", '{"entry":5}']
    (out / "d.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    done = place.toro("import", "out")
    assert done.returncode == 1
    assert "        2 deleted, as the export says" in done.stdout
    refused = [line.partition(": refused")[0] for line in done.stderr.splitlines() if ": refused" in line]
    assert refused == [f"out/d.ndjson.gz:{number}" for number in (2, 3, 5, 6)]
    assert count(place.database) == 2
    (out / "d.ndjson.gz").unlink()
    done = place.toro("import", "out", "--stop")
    assert "out/d.ndjson: refused: the file cannot be read" in done.stderr


def test_parquet_is_refused_with_the_reason(place: Any) -> None:
    out = place.folder / "out"
    out.mkdir()
    (out / "Patient.parquet").write_bytes(b"PAR1")
    done = place.toro("import", "out")
    assert done.returncode == 1
    assert "There are no FHIR files" in done.stderr
    assert "Parquet is not read" in done.stderr
    (out / "manifest.json").write_text(
        json.dumps({"transactionTime": "2026-01-01T00:00:00Z", "output": [{"url": "Patient.parquet"}]})
    )
    for named in ("out", "out/Patient.parquet"):
        done = place.toro("import", named)
        assert done.returncode == 1
        assert "out/Patient.parquet: refused: Parquet has columns" in done.stderr


def test_an_export_of_nothing_but_deletions_is_imported(place: Any) -> None:
    out = place.folder / "out"
    out.mkdir()
    (out / "manifest.json").write_text(json.dumps({"transactionTime": "2026-01-01T00:00:00Z", "output": []}))
    done = place.toro("import", "out")
    assert done.returncode == 0, done.stderr


def test_several_processes_import_what_one_does_whatever_modules_lie_beside_the_files(place: Any) -> None:
    many(place, 3, lines=2_100)
    (place.folder / "odd.ndjson").write_text(ODD + "{\n" + SHAPELESS)
    (place.folder / "msgspec.py").write_text("raise SystemExit('this is data')")
    done = place.toro("import", ".", "--jobs", "2")
    alone = place.toro("import", ".", "--jobs", "1", "--storage", "sqlite:///alone.db")
    assert done.stderr == alone.stderr
    assert (done.returncode, alone.returncode) == (1, 1)
    sql = "SELECT seq, version, rid, cast(json AS text) NOT LIKE '%%meta%%' FROM version ORDER BY vid"
    with closing(sqlite3.connect(place.database)) as one, closing(sqlite3.connect(place.folder / "alone.db")) as other:
        assert one.execute(sql).fetchall() == other.execute(sql).fetchall()
    assert count(place.database) == count(place.folder / "alone.db") == 6_301


def test_a_killed_import_leaves_no_worker_behind(place: Any) -> None:
    many(place, 30)
    with place.start("import", ".", "--jobs", "3") as process:
        log = place.log_of("import")
        while "part03.ndjson" not in log.read_text():
            assert process.poll() is None
            time.sleep(0.005)
        workers = [pid for pid in processes() if parent_of(pid) == process.pid]
        assert len(workers) == 2
        process.kill()
    deadline = time.monotonic() + 20
    while any(is_worker(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    check(place.database)
    assert count(place.database) % 1500 == 0


def processes() -> list[int]:
    if not Path("/proc/self/stat").exists():
        pytest.skip("there is no /proc")
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_worker(pid: int) -> bool:
    try:
        return b"toro_core.importing.process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
