"""`toro migrate` and `toro export` from the outside, killed in between too."""

from __future__ import annotations

import io
import json
import re
import resource
import signal
import sqlite3
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from toro_core.commands.main import main
from toro_core.moving import same_state, tally
from toro_core.plugins import open_storage

SHOE = "http://example.org/StructureDefinition/shoe-size"
SHOE_SIZE = {
    "resourceType": "SearchParameter",
    "id": "shoe-size",
    "url": "http://example.org/SearchParameter/shoe-size",
    "code": "shoe-size",
    "type": "number",
    "base": ["Patient"],
    "expression": f"Patient.extension('{SHOE}').value.ofType(integer)",
}


def urls(place: Any) -> tuple[str, str]:
    return place.storage, f"sqlite:///{place.folder}/new.db"


def test_a_migrated_storage_serves_the_same_clients_and_resources(stocked: Any) -> None:
    source, target = urls(stocked)
    done = stocked.toro("migrate", source, target)
    assert done.returncode == 0, done.stderr
    assert "Both sides are equal." in done.stdout
    assert re.search(r"^Patient +3 resources +3 versions +[0-9a-f]{32}$", done.stdout, re.MULTILINE)
    again = stocked.toro("migrate", source, target)
    assert again.returncode == 1
    assert "the target is not empty" in again.stderr.lower()
    with stocked.running("serve", "--storage", target, "--port", "0") as server:
        token = stocked.token(server.http)
        answer = httpx.get(f"{server.http}/fhir/Patient?_total=accurate", headers={"authorization": f"Bearer {token}"})
        assert answer.json()["total"] == 3


async def test_killed_and_resumed_it_ends_with_both_sides_equal(stocked: Any) -> None:
    source, target = urls(stocked)
    fill_with_observations(stocked, files=6)
    kill_in_between(stocked, source, target)
    async with open_storage(target) as half:
        there = sum(one.versions for one in (await tally(half)).values())
    assert 0 < there < 6_000
    refused = stocked.toro("migrate", source, target)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    done = stocked.toro("migrate", source, target, "--resume")
    assert done.returncode == 0, done.stderr
    moved = int(re.findall(r"(\d+) versions moved", done.stderr)[0])
    async with open_storage(source) as one, open_storage(target) as other:
        ours = await tally(one)
        assert ours == await tally(other)
        assert await same_state(one, other)
    assert moved == sum(counted.versions for counted in ours.values()) - there


def fill_with_observations(place: Any, files: int) -> None:
    """Import files of a thousand Observations of 2 kB each."""
    for file in range(files):
        lines = (
            f'{{"resourceType":"Observation","id":"o{file}-{n}","status":"final","code":{{"text":"{"x" * 2000}"}}}}'
            for n in range(1000)
        )
        (place.folder / f"more{file:02}.ndjson").write_text("\n".join(lines))
    assert place.toro("import", *(f"more{n:02}.ndjson" for n in range(files)), "--no-validate").returncode == 0


def kill_in_between(place: Any, source: str, target: str) -> None:
    """Kill a migration when its first load is there."""
    with place.start("migrate", source, target) as process:
        while not _versions(Path(target.removeprefix("sqlite:///"))):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()


def _versions(database: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            found: int = connection.execute("SELECT count(*) FROM version").fetchone()[0]
            return found
    except sqlite3.OperationalError:
        return 0  # not made yet


def test_a_target_that_was_written_to_is_not_resumed(stocked: Any) -> None:
    source, target = urls(stocked)
    assert stocked.toro("migrate", source, target).returncode == 0
    (stocked.folder / "one.ndjson").write_text('{"resourceType":"Patient","id":"one"}')
    assert stocked.toro("import", "one.ndjson", "--storage", target).returncode == 0
    done = stocked.toro("migrate", source, target, "--resume")
    assert done.returncode == 1
    assert "something else than the source's beginning" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("migrate", "sqlite:///a.db", "sqlite:///a.db"), 2, "the same storage"),
        (("migrate", "nosuch:///a", "sqlite:///a.db"), 1, "no installed plugin"),
        (("export", "out", "--since", "yesterday"), 2, "--since takes a FHIR date"),
        (("export", "out", "--type", "Pateint"), 1, "no resource type"),
        (("export", "out", "--group", "nobody"), 1, "Group/nobody does not exist"),
        (("export", "out", "--patient", "Patient/nobody"), 1, "Patient/nobody does not exist"),
        (("export", "."), 1, "exists and is not empty"),
    ],
)
def test_what_cannot_work_is_said(stocked: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    (stocked.folder / "file").touch()
    done = stocked.toro(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (stocked.folder / "out").exists()


def test_an_export_imports_again(stocked: Any) -> None:
    done = stocked.toro("export", "out", "--gzip")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((stocked.folder / "out/manifest.json").read_text())
    total = sum(one["count"] for one in manifest["output"])
    assert f"{total} resources as of {manifest['transactionTime']}" in done.stdout
    again = stocked.toro("import", "out", "--storage", "sqlite:///other.db")
    assert again.returncode == 0, again.stderr
    assert f"{total} resources in" in again.stdout
    patient = json.loads((stocked.folder / "synthetic.ndjson").read_bytes().splitlines()[0])
    assert any(one["type"] == patient["resourceType"] for one in manifest["output"])


def test_the_parameters_of_added_packages_move_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source, target = "sqlite:///source.db", "sqlite:///target.db"
    with tarfile.open("shoes.tgz", "w:gz") as archive:
        for name, content in {
            "package.json": {"name": "example.shoes", "version": "1.0.0"},
            "SearchParameter-shoe-size.json": SHOE_SIZE,
        }.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data := json.dumps(content).encode())
            archive.addfile(entry, io.BytesIO(data))
    Path("in.json").write_text(
        json.dumps({"resourceType": "Patient", "id": "big", "extension": [{"url": SHOE, "valueInteger": 47}]})
    )
    assert main(["import", "in.json", "--storage", source]) == 0
    assert main(["package", "add", "shoes.tgz", "--storage", source]) == 0
    assert main(["migrate", source, target]) == 0
    for url in (source, target):
        capsys.readouterr()
        assert main(["search", "Patient?shoe-size=47", "--storage", url]) == 0
        assert json.loads(capsys.readouterr().out)["id"] == "big"
        assert main(["storage", "info", url]) == 0
        assert "index         up to date" in capsys.readouterr().out


def test_an_empty_source_is_not_taken_for_one_that_was_moved(place: Any) -> None:
    (place.folder / "empty").mkdir()
    for command in (
        ("migrate", "ndjson:///empty", "sqlite:///new.db"),
        ("backup", "copy.db", "--storage", "ndjson:///empty"),
    ):
        done = place.toro(*command)
        assert done.returncode == 1, done.stdout
        assert "There is nothing in the source" in done.stderr
    assert not list(place.folder.glob("copy.db*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "out", "--storage", "{}"),
        ("search", "Patient", "--storage", "{}"),
        ("reindex", "--storage", "{}"),
        ("backup", "file.db", "--storage", "{}"),
        ("migrate", "{}", "sqlite:///new.db"),
        ("storage", "info", "{}"),
        ("storage", "upgrade", "{}"),
        ("client", "list", "--storage", "{}"),
        ("package", "list", "--storage", "{}"),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
@pytest.mark.parametrize("url", ["sqlite:///mistyped.db", "ndjson:///mistyped"])
def test_what_reads_makes_no_storage_where_there_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    url: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([part.format(url) for part in arguments]) == 1
    assert "There is no storage at this URL" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_export_that_was_killed_is_cleared_away_by_the_next_and_never_one_that_runs(stocked: Any) -> None:
    left = stocked.folder / ".out.partial"
    fill_with_observations(stocked, files=2)
    with stocked.start("export", "out") as process:
        while not (left / "Observation.ndjson").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGSTOP)
        beside = stocked.toro("export", "out")
        assert beside.returncode == 1
        assert "another export writes out" in beside.stderr
        assert (left / "Observation.ndjson").exists()
        process.kill()
    assert not (stocked.folder / "out").exists()
    (left / "Nothing.ndjson").write_text("of the one that was killed")
    done = stocked.toro("export", "out")
    assert done.returncode == 0, done.stderr
    assert not left.exists()
    assert not (stocked.folder / "out/Nothing.ndjson").exists()
    manifest = json.loads((stocked.folder / "out/manifest.json").read_text())
    assert {each["type"]: each["count"] for each in manifest["output"]}["Observation"] >= 2_000


def test_ctrl_c_and_a_full_disk_leave_nothing_of_an_export(stocked: Any) -> None:
    fill_with_observations(stocked, files=2)
    with stocked.start("export", "out") as process:
        while not (stocked.folder / ".out.partial/Observation.ndjson").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert "Traceback" not in stocked.log_of("export").read_text()

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    done = stocked.toro("export", "out", preexec_fn=small_disk)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert not list(stocked.folder.glob("*out*"))


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE version SET json = CAST(replace(json, 'final', 'fina1') AS BLOB)", "FROM has"),
        ("DELETE FROM version WHERE vid = (SELECT min(vid) FROM version)", "FROM has"),
        ("UPDATE version SET at = at + 1 WHERE vid = (SELECT min(vid) FROM version)", "FROM has"),
        ("UPDATE version SET deleted = 1 WHERE vid = (SELECT max(vid) FROM version)", "FROM has"),
        ("DELETE FROM state WHERE key LIKE 'auth/client/%'", "clients and other records of the server differ"),
        ("UPDATE state SET value = x'7b7d' WHERE key LIKE 'auth/client/%'", "clients and other records"),
    ],
)
def test_a_migration_that_ends_with_any_difference_exits_with_1(
    stocked: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tampering: str, said: str
) -> None:
    import toro_core.moving

    source, target = urls(stocked)
    run = toro_core.moving.migrate

    async def tampered(*arguments: Any, **options: Any) -> int:
        moved = await run(*arguments, **options)
        with closing(sqlite3.connect(stocked.folder / "new.db")) as connection:
            assert connection.execute(tampering).rowcount > 0
            connection.commit()
        return moved

    monkeypatch.setattr(toro_core.moving, "migrate", tampered)
    assert main(["migrate", source, target]) == 1
    assert said in capsys.readouterr().err
