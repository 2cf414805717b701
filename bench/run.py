"""Run the benches: `make bench` in about two minutes, `make bench-full` with a million resources. See docs/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.authentication import measure_tokens
from bench.corpus import build, cached
from bench.exports import measure_exports, measure_reads_beside_exports
from bench.expressions import measure_expressions
from bench.extraction import measure_extraction
from bench.growth import measure_growth, measure_totals
from bench.imports import measure_imports
from bench.load import generator
from bench.moving import measure_moving
from bench.over_grpc import measure_grpc
from bench.over_http import measure_http
from bench.rounds import ROUNDS, Row
from bench.searches import measure_searches
from bench.storages import measure_storages
from bench.table import as_json, as_table
from bench.validation import measure_create, measure_validation
from bench.writes import measure_commits, measure_ingest, measure_records, measure_size

__all__ = ["Scale", "main", "run"]

_IMPORTED, _IMPORTS = 100_000, 2
"""So many resources at most are imported, in so many rounds at most."""
_CACHE = Path(__file__).parent.parent / ".bench-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured; `larger` are more databases that the searches are compared on."""

    resources: int = 10_000
    larger: tuple[int, ...] = ()
    seconds: float = 1.0
    repeats: int = 200
    commits: int = 2_000
    patients: int = 20
    rounds: int = ROUNDS


async def run(scale: Scale, folder: Path, cache: Path = _CACHE) -> list[Row]:
    """Measure everything; temporary files go into `folder`, the larger databases into `cache`."""
    rounds, seconds, repeats = scale.rounds, scale.seconds, scale.repeats
    _say(f"making {scale.resources:,} resources")
    corpus = await build(scale.resources, folder / "corpus.db")
    with generator() as load:
        _say("reads, searches and creates over HTTP")
        rows = await measure_http(corpus, folder, load, seconds=seconds, rounds=rounds)
        _say("reads over gRPC")
        rows.append(await measure_grpc(corpus, folder, load, seconds=seconds, rounds=rounds))
    _say("searches in process")
    rows += await measure_searches(corpus, folder, repeats=repeats, rounds=rounds)
    _say("tokens")
    rows.append(await measure_tokens(corpus, repeats=repeats, rounds=rounds))
    _say("index rows and validation")
    rows.append(await measure_extraction(repeats=max(1, repeats // 4), rounds=rounds))
    rows += await measure_validation(repeats=max(1, repeats // 4), rounds=rounds)
    rows.append(await measure_create(folder, creates=scale.commits, rounds=rounds))
    rows += await measure_expressions(repeats=max(1, repeats // 4), rounds=rounds)
    _say("exports")
    rows += await measure_reads_beside_exports(corpus, folder, seconds=3 * seconds, rounds=rounds)
    _say("commits and ingest")
    rows.append(await measure_commits(folder, commits=scale.commits, rounds=rounds))
    rows.append(await measure_ingest(folder, resources=scale.resources, rounds=rounds))
    rows.append(measure_size(corpus.database, f"{scale.resources:,} small resources"))
    rows.append(await measure_records(folder, patients=scale.patients))
    _say("export and migration")
    rows += await measure_moving(corpus, folder, rounds=rounds)
    _say("other storages beside SQLite")
    rows += await measure_storages(folder, resources=scale.resources, repeats=max(1, repeats // 4), rounds=rounds)
    _say("imports by several processes")
    most = max([each for each in (scale.resources, *scale.larger) if each <= _IMPORTED])
    rows += await measure_imports(folder, resources=most, rounds=min(rounds, _IMPORTS))
    larger = []
    for resources in scale.larger:
        _say(f"making {resources:,} resources, which takes a while the first time")
        larger.append(await cached(resources, cache))
        rows.append(measure_size(larger[-1].database, f"{resources:,} small resources"))
    rows += await measure_exports((corpus, *larger)[-1], folder, rounds=rounds)
    _say("searches as data grows")
    rows += await measure_growth(corpus, larger, repeats=repeats, rounds=rounds)
    for each in (corpus, *larger):
        rows += await measure_totals(each, repeats=repeats, rounds=rounds)
    return rows


def main() -> None:
    """Measure, print the table, write JSON where asked to."""
    parser = argparse.ArgumentParser(description="Measure Toro against its baselines, in one run on this machine.")
    parser.add_argument(
        "--full", action="store_true", help="also search among 100,000 and 1,000,000 resources, kept in .bench-data"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples here")
    options = parser.parse_args()
    scale = Scale(larger=(100_000, 1_000_000) if options.full else ())
    with tempfile.TemporaryDirectory(prefix="toro-bench-") as folder:
        rows = asyncio.run(run(scale, Path(folder)))
    print(as_table(rows))
    if options.json:
        options.json.write_text(as_json(rows, full=options.full, resources=scale.resources))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
