"""`toro backup`, `restore` and `storage` from the outside."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from toro_core.moving import same_state, tally
from toro_core.plugins import open_storage

FIXTURES = sorted((Path(__file__).parents[1] / "plugins").glob("schema_*.sql"))


async def test_a_backup_of_a_serving_storage_restores_to_the_same(stocked: Any) -> None:
    restored = f"sqlite:///{stocked.folder}/restored.db"
    with stocked.running("serve", "--port", "0") as server:
        stocked.token(server.http)
        done = stocked.toro("backup", "kept.db")
        assert (done.returncode, done.stdout) == (0, "Backed up into kept.db\n"), done.stderr
    done = stocked.toro("restore", "kept.db", "--storage", restored)
    assert (done.returncode, done.stdout) == (0, "Restored kept.db\n"), done.stderr
    async with open_storage(stocked.storage) as one, open_storage(restored) as other:
        ours = await tally(one)
        assert ours
        assert ours == await tally(other)
        assert await same_state(one, other)


@pytest.mark.slow
async def test_a_storage_without_a_way_of_its_own_is_backed_up_by_a_migration(
    stocked: Any, new_storage: Callable[[str], str]
) -> None:
    folder, restored = new_storage("ndjson"), new_storage("ndjson")
    assert stocked.toro("migrate", stocked.storage, folder).returncode == 0
    done = stocked.toro("backup", "kept.db", "--storage", folder)
    assert done.returncode == 0, done.stderr
    assert "Both sides are equal.\nBacked up into kept.db" in done.stdout
    done = stocked.toro("restore", "kept.db", "--storage", restored)
    assert done.returncode == 0, done.stderr
    async with open_storage(stocked.storage) as one, open_storage(restored) as other:
        assert await tally(one) == await tally(other)
        assert await same_state(one, other)


def test_a_backup_of_files_takes_the_place_of_one_that_was_killed(stocked: Any) -> None:
    folder = f"ndjson:///{stocked.folder}/data"
    assert stocked.toro("migrate", stocked.storage, folder).returncode == 0
    assert stocked.toro("backup", "kept.db.partial").returncode == 0
    done = stocked.toro("backup", "kept.db", "--storage", folder)
    assert done.returncode == 0, done.stderr
    assert not list(stocked.folder.glob("*.partial*"))


@pytest.mark.slow
def test_a_restored_storage_serves(stocked: Any) -> None:
    assert stocked.toro("backup", "kept.db").returncode == 0
    assert stocked.toro("restore", "kept.db", "--storage", "sqlite:///new/toro.db").returncode == 0
    with stocked.running("serve", "--port", "0", "--storage", "sqlite:///new/toro.db") as server:
        headers = {"authorization": f"Bearer {stocked.token(server.http)}"}
        assert httpx.get(f"{server.http}/fhir/Patient?_total=accurate", headers=headers).json()["total"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("backup", "there"), 2, "there exists"),
        (("backup", "new", "--storage", "sqlite:///gone.db"), 1, "There is no storage at this URL"),
        (("restore", "gone"), 2, "does not exist"),
        (("restore", "there", "--storage", "sqlite:///new.db"), 1, "not a SQLite database"),
        (("storage", "info", "nosuch://"), 1, "no installed plugin"),
        (("storage", "info", "ndjson:///new"), 1, "There is no storage at this URL"),
        (("storage", "info", "ndjson:///there"), 1, "There is no storage at this URL"),
        (("storage", "check", "nosuch://"), 1, "no installed plugin"),
        (("storage", "check", "postgresql://toro:s3cret@127.0.0.1:1/toro"), 1, "whether the server runs"),
    ],
)
def test_what_cannot_work_is_said(place: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    (place.folder / "there").write_text("not a database " * 100)
    done = place.toro(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert sorted(path.name for path in place.folder.iterdir()) == ["there"]


def test_looking_at_a_folder_makes_nothing_in_it(place: Any) -> None:
    folder = place.folder / "export"
    folder.mkdir()
    empty = place.toro("storage", "info", "ndjson:///export")
    assert (empty.returncode, list(folder.iterdir())) == (1, [])
    assert "holds no NDJSON and nothing of Toro's" in empty.stderr
    (folder / "Patient.ndjson").write_text('{"resourceType":"Patient","id":"a"}\n')
    for options in ("", "?mode=ro", f"?beside={place.folder}/kept"):
        foreign = place.toro("storage", "info", f"ndjson:///export{options}")
        assert foreign.returncode == 0, foreign.stderr
        assert "        1 resources" in foreign.stdout
        assert [each.name for each in folder.iterdir()] == ["Patient.ndjson"]
    assert not (place.folder / "kept").exists()


@pytest.mark.parametrize("fixture", FIXTURES[-1:], ids=lambda path: path.stem)
def test_an_older_schema_is_upgraded_after_a_backup(place: Any, fixture: Path) -> None:
    with closing(sqlite3.connect(place.database)) as connection:
        connection.executescript(fixture.read_text())
    refused = place.toro("serve", "--port", "0")
    assert refused.returncode == 1
    assert "run `toro storage upgrade`, which makes a backup first" in refused.stderr
    done = place.toro("storage", "upgrade", place.storage)
    assert done.returncode == 0, done.stderr
    (kept,) = place.folder.glob("toro-schema-*.backup")
    assert f"Backed up into {kept.name}" in done.stdout
    info = place.toro("storage", "info", f"sqlite:///{place.database}")
    assert "the newest" in info.stdout
    assert "        5 resources" in info.stdout
    again = place.toro("storage", "upgrade", place.storage)
    assert "The schema is the newest" in again.stdout
    old = place.toro("storage", "info", f"sqlite:///{kept}")
    assert "toro storage upgrade" in old.stdout + old.stderr
    assert len(list(place.folder.glob("toro-schema-*.backup"))) == 1
