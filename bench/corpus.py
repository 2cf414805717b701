"""The data that is measured: synthetic Patients and Observations in a SQLite database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bench.extras import churned, delete_gone, extra_lines
from toro_core.definitions import load
from toro_core.importing import Incoming, Report, StorageSink
from toro_core.importing.job import import_resources
from toro_core.json import dumps, loads
from toro_core.plugins import open_storage
from toro_core.search.extract import Extractor
from toro_core.synthetic import bench_resources

__all__ = ["CODE", "Corpus", "build", "cached", "fill", "incoming", "lines", "populate", "url"]

CODE = "http://loinc.org|8867-4"
"""A code that one in eight Observations has."""
_SEED = 1
_ROOT = Path(__file__).parent.parent
_MAKERS = (
    "bench/extras.py",
    "plugins/toro_sqlite",
    "toro_core/search",
    "toro_core/fhirpath",
    "toro_core/definitions",
    "toro_core/synthetic",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A database of so many resources, one in fifty a Patient, and of some more (`bench.extras`)."""

    database: Path
    resources: int

    @property
    def heavy(self) -> tuple[str, ...]:
        """Name the patients that own hundreds of Observations each."""
        return tuple(f"Patient/bench-{number}" for number in range(max(1, self.resources // 5000)))

    def names(self, count: int) -> tuple[str, ...]:
        """Name some Observations, spread over all of them."""
        last = self.resources - self.resources // 50
        return tuple(f"Observation/bench-{number}" for number in range(0, last, max(1, last // count)))[:count]


def url(database: Path | str) -> str:
    """Write a database's storage URL, or leave one as it is."""
    return database if isinstance(database, str) else f"sqlite:///{database.absolute()}"


async def build(resources: int, database: Path) -> Corpus:
    """Make a database."""
    await populate(resources, database)
    return Corpus(database=database, resources=resources)


async def populate(resources: int, database: Path | str) -> None:
    """Fill a new database, or the new storage of a URL, with all that a corpus has."""
    extractor = Extractor(load(), ())
    await fill(database, incoming(chain(lines(resources), extra_lines(resources))), extractor)
    await fill(database, incoming(churned(resources, updated=True)), extractor)
    async with open_storage(url(database)) as storage:
        await delete_gone(storage, resources)


async def fill(database: Path | str, resources: Iterable[Incoming], extractor: Extractor) -> None:
    """Import resources as `toro import` does, refusing what breaks the definitions."""
    report = Report()
    async with open_storage(url(database)) as storage:
        sink = StorageSink(storage, extractor.definitions, extractor, strict=True)
        await import_resources(resources, sink, report)
    if report.refused:
        raise ValueError(f"a synthetic resource was refused: {report.refused[0].why}")


async def cached(resources: int, folder: Path) -> Corpus:
    """Return a database kept from an earlier run, or make it; one made by other code is dropped."""
    database = folder / f"{resources}-{_fingerprint()}.db"
    if not _make_room(database, f"{resources}-*"):
        making = folder / f"{resources}-unfinished.db"
        await build(resources, making)
        making.rename(database)
    return Corpus(database=database, resources=resources)


def _make_room(database: Path, others: str) -> bool:
    """Say whether the database is there; where it is not, drop those it takes the place of."""
    database.parent.mkdir(exist_ok=True)
    if database.exists():
        return True
    for old in database.parent.glob(others):
        old.unlink()
    return False


def _fingerprint() -> str:
    """Digest the code that decides what lies in a database."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _sources() -> Iterator[Path]:
    for maker in _MAKERS:
        path = _ROOT / maker
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def lines(resources: int) -> Iterator[bytes]:
    """Write the resources as lines of NDJSON."""
    return map(dumps, bench_resources(resources, seed=_SEED))


def incoming(ndjson: Iterable[bytes]) -> Iterator[Incoming]:
    """Read lines as an import reads them from a file."""
    for number, line in enumerate(ndjson, 1):
        yield Incoming(place=f"bench:{number}", resource=loads(line), size=len(line))
