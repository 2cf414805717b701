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
from bench.rounds import Row, Target, compare, take
from toro_core.json import loads
from toro_core.v1 import SearchParameter, SearchResourcesRequest, SearchResourcesResponse

__all__ = ["Searches", "following", "measure_searches", "search"]

_PAGE = 50


async def measure_searches(corpus: Corpus, folder: Path, *, repeats: int, rounds: int) -> list[Row]:
    """Measure pages against direct SQL, and deep pages against first ones."""
    async with in_process(corpus.database) as core:
        searches = Searches(core, corpus, repeats)
        direct = Direct(folder / "direct.db", _entries(corpus))
        try:
            rows = [await _against_direct(searches, direct, rounds)]
        finally:
            direct.close()
        rows.append(await _deep_page(searches, rounds))
    return rows


async def _against_direct(searches: Searches, direct: Direct, rounds: int) -> Row:
    patients = searches.patients()
    # The baseline counts nothing either; what a total costs is in the p50 of "patient, page of 50".
    requests = [search(("patient", patient), ("_count", str(_PAGE)), ("_total", "none")) for patient in patients]
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
    first = search(("code", CODE), ("_count", str(searches.short_page())), ("_total", "none"))
    page = await searches.ask(first)
    for _ in range(98):
        page = await searches.ask(following(page))
    samples = {"first": searches.p50([first]), "deep": searches.p50([following(page)])}
    taken = await take(samples, rounds=rounds)
    return compare("search page 100", "ms", taken["deep"], "page 1", taken["first"], Target(kind="at most", ratio=1.2))


class Searches:
    """The queries that are measured, on one database."""

    def __init__(self, core: InProcess, corpus: Corpus, repeats: int) -> None:
        """Repeat each query so often for one sample."""
        self.repeats = repeats
        self.resources = corpus.resources
        self._core = core
        self._metadata = core.metadata
        self._corpus = corpus

    def patients(self) -> Sequence[str]:
        """Name patients with full pages."""
        return self._corpus.heavy[:50]

    def short_page(self) -> int:
        """Return how many entries a page may have so that a search by code has more than a hundred."""
        return max(1, min(_PAGE, self._corpus.resources // 1_000))

    async def ask(self, request: SearchResourcesRequest) -> SearchResourcesResponse:
        """Search."""
        return await self._core.core.SearchResources(request, metadata=self._metadata, timeout=30)

    async def sign_in(self) -> None:
        """Take another access token, before what may last as long as one."""
        self._metadata = await self._core.sign_in()

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


def search(*parameters: tuple[str, str], resource_type: str = "Observation") -> SearchResourcesRequest:
    """Build the request of a search; what follows a colon is the modifier, but for chains."""
    split = []
    for name, value in parameters:
        code, _, modifier = (name, "", "") if "." in name else name.partition(":")
        split.append(SearchParameter(code=code, modifier=modifier, values=[value]))
    return SearchResourcesRequest(resource_type=resource_type, parameters=split)


def following(page: SearchResourcesResponse) -> SearchResourcesRequest:
    """Build the request of the next page."""
    if not page.next_page_token:
        raise ValueError("a search that is paged through ends too early")
    return SearchResourcesRequest(resource_type="Observation", page_token=page.next_page_token)


def _entries(corpus: Corpus) -> Iterator[Entry]:
    for line in lines(corpus.resources):
        resource = loads(line)
        subject, date = resource.get("subject"), resource.get("effectiveDateTime", "")
        if isinstance(subject, dict):
            yield str(subject["reference"]), str(date), str(resource["id"]), line
