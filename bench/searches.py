"""Searches through the whole core in this process: access token, compilation, plan, page."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from bench.baselines.direct import Direct, Entry
from bench.client import InProcess, in_process
from bench.corpus import CODE, Corpus, lines
from bench.rounds import Row, Target, compare, report, take
from toro_core.json import loads
from toro_core.v1 import SearchParameter, SearchResourcesRequest, SearchResourcesResponse

__all__ = ["Searches", "measure_growth", "measure_searches"]

_PAGE = 50
_Parameters = tuple[tuple[str, str], ...]


async def measure_searches(corpus: Corpus, folder: Path, *, repeats: int, rounds: int) -> list[Row]:
    """Measure pages against direct SQL, the queries of DESIGN §4, and deep pages against first ones."""
    async with in_process(corpus.database) as core:
        searches = Searches(core, corpus, repeats)
        direct = Direct(folder / "direct.db", _entries(corpus))
        try:
            rows = [await _against_direct(searches, direct, rounds)]
        finally:
            direct.close()
        queries = searches.queries()
        taken = await take({name: searches.p50(requests) for name, requests in queries.items()}, rounds=rounds)
        rows += [report(f"search p50, {name}", "ms", samples) for name, samples in taken.items()]
        rows.append(await _deep_page(searches, rounds))
    return rows


async def measure_growth(small: Corpus, large: Corpus, *, repeats: int, rounds: int) -> list[Row]:
    """Measure the same queries on both databases in turn."""
    target = Target(kind="at most", ratio=3)
    async with in_process(small.database) as few, in_process(large.database) as many:
        before, after = Searches(few, small, repeats), Searches(many, large, repeats)
        rows = []
        for name, requests in after.queries().items():
            samples = {"few": before.p50(before.queries()[name]), "many": after.p50(requests)}
            taken = await take(samples, rounds=rounds)
            against = f"at {small.resources:,}"
            measure = f"search p50 at {large.resources:,}, {name}"
            rows.append(compare(measure, "ms", taken["many"], against, taken["few"], target))
    return rows


async def _against_direct(searches: Searches, direct: Direct, rounds: int) -> Row:
    patients = searches.patients()
    # The baseline counts nothing either; what a total costs is in the p50 of "patient, page of 50".
    requests = [_request((("patient", patient), ("_count", str(_PAGE)), ("_total", "none"))) for patient in patients]
    for patient, request in zip(patients, requests, strict=True):
        found = len((await searches.ask(request)).entries)
        if not found == len(direct.page(patient, _PAGE)) == min(_PAGE, found):
            raise ValueError("the search and its baseline find different pages")

    async def core() -> float:
        started = time.process_time()
        for request in itertools.islice(itertools.cycle(requests), searches.repeats):
            await searches.ask(request)
        return (time.process_time() - started) / searches.repeats * 1e6

    async def sql() -> float:
        started = time.process_time()
        for patient in itertools.islice(itertools.cycle(patients), searches.repeats):
            direct.page(patient, _PAGE)
        return (time.process_time() - started) / searches.repeats * 1e6

    taken = await take({"sql": sql, "core": core}, rounds=rounds)
    target = Target(kind="at most", ratio=1.5)
    return compare("search page of 50, in process", "µs CPU", taken["core"], "direct sqlite3", taken["sql"], target)


async def _deep_page(searches: Searches, rounds: int) -> Row:
    """Compare page 100 with page 1, both without a total: that one is part of a first page only."""
    first = _request((("code", CODE), ("_count", str(searches.short_page())), ("_total", "none")))
    page = await searches.ask(first)
    for _ in range(98):
        page = await searches.ask(_following(page))
    samples = {"first": searches.p50([first]), "deep": searches.p50([_following(page)])}
    taken = await take(samples, rounds=rounds)
    return compare("search page 100", "ms", taken["deep"], "page 1", taken["first"], Target(kind="at most", ratio=1.2))


class Searches:
    """The queries that are measured, on one database."""

    def __init__(self, core: InProcess, corpus: Corpus, repeats: int) -> None:
        """Repeat each query so often for one sample."""
        self.repeats = repeats
        self._core = core
        self._corpus = corpus

    def patients(self) -> Sequence[str]:
        """Name patients with full pages."""
        return self._corpus.heavy[:50]

    def short_page(self) -> int:
        """Return how many entries a page may have so that a search by code has more than a hundred."""
        return max(1, min(_PAGE, self._corpus.resources // 1_000))

    def queries(self) -> dict[str, list[SearchResourcesRequest]]:
        """Build the queries of DESIGN §4, over several patients where they name one."""
        narrow = (("code", CODE), ("category", "vital-signs"), ("date", "ge2020-01-01"))
        return {
            "patient, page of 50": [_request((("patient", patient),)) for patient in self.patients()],
            "patient + code + category + date": [
                _request((("patient", patient), *narrow)) for patient in self.patients()
            ],
            "code sorted by date": [_request((("code", CODE), ("_sort", "-date")))],
        }

    async def ask(self, request: SearchResourcesRequest) -> SearchResourcesResponse:
        """Search."""
        return await self._core.core.SearchResources(request, metadata=self._core.metadata, timeout=30)

    def p50(self, requests: Sequence[SearchResourcesRequest]) -> Callable[[], Awaitable[float]]:
        """Return a sample: the median time of a query in milliseconds."""

        async def sample() -> float:
            times = []
            for request in itertools.islice(itertools.cycle(requests), self.repeats):
                started = time.perf_counter()
                answer = await self.ask(request)
                times.append(time.perf_counter() - started)
                if not answer.entries:
                    raise ValueError("a search that is measured finds nothing")
            return statistics.median(times) * 1000

        return sample


def _request(parameters: _Parameters) -> SearchResourcesRequest:
    split = [SearchParameter(code=code, values=[value]) for code, value in parameters]
    return SearchResourcesRequest(resource_type="Observation", parameters=split)


def _following(page: SearchResourcesResponse) -> SearchResourcesRequest:
    if not page.next_page_token:
        raise ValueError("a search that is paged through ends too early")
    return SearchResourcesRequest(resource_type="Observation", page_token=page.next_page_token)


def _entries(corpus: Corpus) -> Iterator[Entry]:
    for line in lines(corpus.resources):
        resource = loads(line)
        subject, date = resource.get("subject"), resource.get("effectiveDateTime", "")
        if isinstance(subject, dict):
            yield str(subject["reference"]), str(date), str(resource["id"]), line
