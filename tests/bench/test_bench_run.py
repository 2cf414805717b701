from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.corpus import build, cached
from bench.run import Scale, run
from bench.table import as_json, as_table

TINY = Scale(resources=2_000, larger=(2_500,), seconds=0.1, repeats=3, commits=64, patients=1, rounds=1)
SIDES = {
    "hello world",
    "bare commits",
    "gRPC hello world",
    "direct sqlite3",
    "page 1",
    "ES384 verification",
    "commit a request",
    "json.loads",
    "prebuilt rows",
    "SQLite",
    "unchecked",
    "JSON MB",
    "at 2,000",
    "read p99",
    "--jobs 1",
    *(["sqlite3 command"] if shutil.which("sqlite3") else []),
    "SQL by hand",
    "sqlite3 select" if shutil.which("sqlite3") else "Python sqlite3 select",
}


def databases(folder: Path) -> list[Path]:
    return list(folder.glob("*.db"))


async def test_a_tiny_run_measures_everything_that_a_full_one_does(tmp_path: Path) -> None:
    rows = await run(TINY, tmp_path, tmp_path / "cache")
    assert {row.against for row in rows if row.against} == SIDES
    assert all(value > 0 for row in rows for value in (*row.samples, *row.baseline_samples))
    assert all(row.ratio is not None for row in rows if row.target)
    assert len(as_table(rows).splitlines()) == len(rows) + 2
    assert len(json.loads(as_json(rows, full=True, resources=TINY.resources))["rows"]) == len(rows)


async def test_a_cached_database_is_made_once_and_replaces_the_one_of_other_code(tmp_path: Path) -> None:
    stale = tmp_path / "150-0123456789ab.db"
    stale.touch()
    first = await cached(150, tmp_path)
    made = first.database.stat().st_mtime_ns
    assert (await cached(150, tmp_path)).database.stat().st_mtime_ns == made
    assert not stale.exists()
    assert databases(tmp_path) == [first.database]


async def test_the_corpus_names_resources_that_are_in_it(tmp_path: Path) -> None:
    corpus = await build(300, tmp_path / "small.db")
    names = corpus.names(20)
    assert len(set(names)) == 20
    assert all(int(name.removeprefix("Observation/bench-")) < 294 for name in names)
    assert corpus.heavy == ("Patient/bench-0",)
