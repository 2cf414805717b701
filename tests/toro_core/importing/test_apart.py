"""An import with workers: what it stores and tells is what one process stores and tells."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from toro_core.definitions import load
from toro_core.errors import StorageFull
from toro_core.importing import (
    Report,
    StorageSink,
    Terms,
    import_files,
    import_files_apart,
    jobs_for,
    open_workers,
)
from toro_core.importing.preparing import Prepared
from toro_core.importing.sources import Incoming
from toro_core.importing.workers import Workers
from toro_core.search.extract import Extractor
from toro_core.storage import Stored, Write
from toro_core.synthetic import generate
from toro_core.testing.memory import MemoryStorage
from toro_core.validation import Validator

DEFINITIONS = load()
EXTRACTOR = Extractor(DEFINITIONS, ())


class Noting(MemoryStorage):
    """A storage that notes its commits, and is full after some."""

    def __init__(self, full_after: int = 1_000_000) -> None:
        super().__init__()
        self.commits: list[list[Write]] = []
        self._full_after = full_after

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        if len(self.commits) == self._full_after:
            raise StorageFull
        self.commits.append(list(writes))
        return await super().commit(writes)


class Run:
    """One import: where it goes, how far it came, and what was told."""

    def __init__(self, *, strict: bool = False, stop: bool = False, full_after: int = 1_000_000) -> None:
        self.storage = Noting(full_after)
        self.report = Report()
        self.files: list[tuple[str, int]] = []
        self.said: list[str] = []
        self.stop = stop
        self.terms = Terms(packages=[], service_bases=(), policy="warn", strict=strict, stop=stop)
        self.sink = StorageSink(
            self.storage, DEFINITIONS, EXTRACTOR, strict=strict, validator=Validator(DEFINITIONS, policy="warn")
        )

    def progress(self, path: Path, report: Report) -> None:
        self.files.append((path.name, report.stored.total()))

    @asynccontextmanager
    async def workers(self, count: int) -> AsyncIterator[Workers]:
        async with open_workers(count, self.terms, self.sink.preparer, self.said.append) as workers:
            yield workers

    async def alone(self, files: Sequence[Path]) -> Run:
        await import_files(self.sink, files, self.report, self.progress, stop=self.stop)
        return self

    async def apart(self, files: Sequence[Path], count: int = 2) -> Run:
        async with self.workers(count) as workers:
            await import_files_apart(self.sink, workers, files, self.report, self.progress, stop=self.stop)
        return self

    def outcome(self) -> str:
        """Say all that happened; ids that were made up are none."""
        return repr((self.storage.commits, self.report, self.files))


def patient(id: str, **members: object) -> str:
    return json.dumps({"resourceType": "Patient", "id": id, **members})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Write files with all that can be wrong, with several versions of one id, and with more than one batch."""
    lines = [patient(f"a{number % 700}", birthDate=f"19{number % 100:02}") for number in range(2_100)]
    lines[10], lines[2_050], lines[2_099] = "", "{", patient("odd", colour="red")
    (tmp_path / "a.ndjson").write_text("\n".join(lines))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(f"{patient('b1')}\n{patient('b 2')}\n".encode()))
    torn = gzip.compress("".join(f"{patient(f'c{number}')}\n" for number in range(2_100)).encode())
    (tmp_path / "c.ndjson.gz").write_bytes(torn[: len(torn) - 100])
    entries = [{"resource": json.loads(patient(f"d{number}"))} for number in range(2_100)]
    (tmp_path / "d.json").write_text(json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [*entries, 5]}))
    (tmp_path / "e.json").write_text(patient("a1", name="of no shape"))
    (tmp_path / "f.json").write_text("[]")
    (tmp_path / "g.ndjson").write_text("")
    return [*sorted(tmp_path.iterdir()), tmp_path / "gone.ndjson"]


@pytest.mark.parametrize("strict", [False, True])
async def test_the_same_is_committed_in_the_same_order_and_told_in_the_same_words(
    files: list[Path], strict: bool
) -> None:
    alone, apart = await Run(strict=strict).alone(files), await Run(strict=strict).apart(files, count=1 + (not strict))
    assert apart.outcome() == alone.outcome()
    assert not apart.said
    assert len(alone.storage.commits) >= 6
    assert {one.place.rpartition("/")[2] for one in alone.report.refused} >= {"a.ndjson:2051", "f.json", "gone.ndjson"}


async def test_with_stop_the_same_is_stored_before_the_first_that_is_refused(files: list[Path]) -> None:
    for some in (files, files[3:]):
        alone, apart = await Run(stop=True).alone(some), await Run(stop=True).apart(some, count=1)
        assert apart.outcome() == alone.outcome()
        assert alone.report.refused


async def test_when_workers_are_killed_the_rest_is_done_all_the_same(files: list[Path]) -> None:
    alone, apart = await Run().alone(files), Run()
    async with apart.workers(2) as workers:

        def killing(path: Path, report: Report) -> None:
            apart.progress(path, report)
            if len(apart.files) <= 2:
                workers.processes[len(apart.files) - 1].send_signal(signal.SIGKILL)

        await import_files_apart(apart.sink, workers, files, apart.report, killing)
    assert apart.outcome() == alone.outcome()
    assert apart.said[-1] == "a process of the import has ended (-9); this one goes on with it"
    assert len(apart.said) == 2


async def test_a_storage_that_is_full_ends_the_import_and_its_workers(files: list[Path]) -> None:
    run = Run(full_after=2)
    async with run.workers(2) as workers:
        with pytest.raises(StorageFull):
            await import_files_apart(run.sink, workers, files, run.report, run.progress)
    assert run.report.stored.total() == sum(map(len, run.storage.commits))
    assert all(process.returncode is not None for process in workers.processes)


async def test_an_import_that_is_cancelled_leaves_no_worker(files: list[Path]) -> None:
    run = Run()
    begun: asyncio.Future[Workers] = asyncio.get_running_loop().create_future()

    async def importing() -> None:
        async with run.workers(2) as workers:
            begun.set_result(workers)
            await import_files_apart(run.sink, workers, files, run.report, run.progress)

    task = asyncio.create_task(importing())
    workers = await begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(workers.processes) == 2
    assert all(process.returncode is not None for process in workers.processes)


def test_what_workers_answer_is_what_they_made_to_the_type() -> None:
    preparer = Run().sink.preparer
    incoming = [Incoming(place=f"a:{n}", resource=one, size=1) for n, one in enumerate(generate(patients=2))]
    prepared = [preparer.prepare(incoming)]
    answer = msgspec.msgpack.encode(prepared)
    assert repr(msgspec.msgpack.decode(answer, type=list[Prepared])) == repr(prepared)
    assert len(prepared[0].writes) > 100


def test_workers_are_for_what_is_large(tmp_path: Path) -> None:
    small, large = tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"
    small.write_bytes(b" " * 1_000)
    large.write_bytes(b" " * 1_000_000)
    assert jobs_for([small]) == 1
    assert 1 <= jobs_for([small, large]) <= 8
    assert jobs_for([tmp_path / "gone"]) == 1
