"""The searches that partners send, at several sizes: how long they take, how that grows, and what exact totals cost."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from bench.baselines.counted import Counted, Token
from bench.client import in_process
from bench.corpus import CODE, Corpus
from bench.extras import GIANT
from bench.rounds import Row, Target, compare, report, take
from bench.searches import Searches, following, search
from toro_core.search.plan import AllOf, SearchPlan, SortKey
from toro_core.search.plan import Token as TokenCriterion
from toro_core.storage import Storage
from toro_core.synthetic import bench_resources
from toro_core.v1 import SearchResourcesRequest

__all__ = ["measure_growth", "measure_totals", "queries"]

_SYSTEM, _, _VALUE = CODE.partition("|")
_CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
_CODE: Token = ("code", _SYSTEM, _VALUE)
_VITALS: Token = ("category", _CATEGORIES, "vital-signs")
_LABORATORY: Token = ("category", _CATEGORIES, "laboratory")
_FLAT = Target(kind="at most", ratio=3)
_DEEP = Target(kind="at most", ratio=1.2)
_BY_HAND = Target(kind="at most", ratio=1.5)
_YEAR = (("date", "ge2020-01-01"), ("date", "lt2021-01-01"))


def queries(searches: Searches) -> dict[str, list[SearchResourcesRequest]]:
    """Name the searches; those that name a patient are about several."""
    patients, coded, vitals = searches.patients(), ("code", CODE), ("category", "vital-signs")
    since = ("date", "ge2020-01-01")
    return {
        "patient": [_page(("patient", patient)) for patient in patients],
        "patient with 2 % of all": [_page(("patient", GIANT))],
        "patient + code": [_page(("patient", patient), coded) for patient in patients],
        "patient + category + dates": [_page(("patient", patient), vitals, *_YEAR) for patient in patients],
        "patient + code + category + date": [_page(("patient", patient), coded, vitals, since) for patient in patients],
        "code sorted by date": [_page(coded, ("_sort", "-date"))],
        "code + category": [_page(coded, vitals)],
        "dates sorted": [_page(*_YEAR, ("_sort", "-date"))],
        "subject:Patient.name of one": [_page(("subject:Patient.name", "giant"))],
        "subject:Patient.name of 4 %": [_page(("subject:Patient.name", _a_family()))],
        "_has": [_page(("_has:Observation:patient:code", _VALUE), resource_type="Patient")],
        "_include": [_page(coded, ("_include", "Observation:subject"))],
        "_revinclude": [_page(coded, ("_revinclude", "Provenance:target"))],
        "patient, with its total": [search(("patient", patient)) for patient in patients],
        "patient + code, with its total": [search(("patient", patient), coded) for patient in patients],
        "code sorted by date, with its total": [search(coded, ("_sort", "-date"))],
        "_has, with its total": [search(("_has:Observation:patient:code", _VALUE), resource_type="Patient")],
    }


async def measure_growth(small: Corpus, larger: Sequence[Corpus], *, repeats: int, rounds: int) -> list[Row]:
    """Measure every search on the small database, and on the larger ones with it in turn."""
    rows = []
    async with in_process(small.database) as few:
        before = Searches(few, small, repeats)
        for name, requests in queries(before).items():
            await before.sign_in()
            timed = _Timed(before, requests)
            taken = await take({"few": timed.p50}, rounds=rounds)
            rows += [report(f"search p50, {name}", "ms", taken["few"]), report(f"search p99, {name}", "ms", timed.p99)]
        for corpus in larger:
            async with in_process(corpus.database) as many:
                rows += await _compared(before, Searches(many, corpus, repeats), rounds)
    return rows


async def _compared(before: Searches, after: Searches, rounds: int) -> list[Row]:
    rows = []
    against, size = f"at {before.resources:,}", f"{after.resources:,}"
    for (name, requests), (_, more) in zip(queries(before).items(), queries(after).items(), strict=True):
        await before.sign_in()
        await after.sign_in()
        few, many = _Timed(before, requests), _Timed(after, more)
        taken = await take({"few": few.p50, "many": many.p50}, rounds=rounds)
        # Where there are few, a total is of few; the pages are what has to stay quick.
        target = None if "total" in name else _FLAT
        rows.append(compare(f"search p50 at {size}, {name}", "ms", taken["many"], against, taken["few"], target))
        rows.append(report(f"search p99 at {size}, {name}", "ms", many.p99))
    await after.sign_in()
    first = search(("code", CODE), ("_count", "50"), ("_total", "none"))
    page = await after.ask(first)
    for number in range(99):
        if page.next_page_token and number:
            page = await after.ask(following(page))
    deep = following(page) if page.next_page_token else first
    pages = {"deep": _Timed(after, [deep]).p50, "first": _Timed(after, [first]).p50}
    taken = await take(pages, rounds=rounds)
    rows.append(compare(f"search page 100 at {size}", "ms", taken["deep"], "page 1", taken["first"], _DEEP))
    return rows


async def measure_totals(corpus: Corpus, *, repeats: int, rounds: int) -> list[Row]:
    """Compare exact totals, and a search that finds nothing in common, with counts written by hand."""
    size = f"{corpus.resources:,}"
    rows = []
    counted = Counted(corpus.database)
    async with in_process(corpus.database) as core:
        storage = core.storage
        few = max(3, repeats // 20)
        pairs: dict[str, tuple[Callable[[], Awaitable[int]], Callable[[], int]]] = {
            "total of one criterion": (_total(storage, _CODE), lambda: counted.one(_CODE)),
            "total of two criteria": (_total(storage, _CODE, _VITALS), lambda: counted.both(_CODE, _VITALS)),
            "empty intersection": (_found(storage, _CODE, _LABORATORY), lambda: counted.both(_CODE, _LABORATORY)),
        }
        for name, (ours, by_hand) in pairs.items():
            if await ours() != by_hand():
                raise ValueError("a total and its baseline differ")
            taken = await take({"sql": _p50(_called(by_hand), few), "core": _p50(ours, few)}, rounds=rounds)
            rows.append(compare(f"{name} at {size}", "ms", taken["core"], "SQL by hand", taken["sql"], _BY_HAND))
    counted.close()
    return rows


def _page(*parameters: tuple[str, str], resource_type: str = "Observation") -> SearchResourcesRequest:
    """Ask for a page alone: that no total is counted which is left out above a thousand anyway."""
    return search(*parameters, ("_total", "none"), resource_type=resource_type)


def _a_family() -> str:
    """Name a family that is there at every size."""
    first = next(iter(bench_resources(100, seed=1)))
    return str(first["name"][0]["family"])


def _plan(*tokens: Token) -> SearchPlan:
    criteria = tuple(TokenCriterion(param=param, system=system, code=code) for param, system, code in tokens)
    return SearchPlan(type="Observation", criterion=AllOf(criteria), sort=(SortKey(descending=True),))


def _total(storage: Storage, *tokens: Token) -> Callable[[], Awaitable[int]]:
    return lambda: storage.count(_plan(*tokens))


def _found(storage: Storage, *tokens: Token) -> Callable[[], Awaitable[int]]:
    async def found() -> int:
        return len((await storage.search(_plan(*tokens))).resources)

    return found


def _called(work: Callable[[], int]) -> Callable[[], Awaitable[int]]:
    async def called() -> int:
        return work()

    return called


def _p50(work: Callable[[], Awaitable[int]], repeats: int) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            await work()
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1000

    return sample


class _Timed:
    """A search's times: medians as samples, and of all of them what one in a hundred exceeds."""

    def __init__(self, searches: Searches, requests: Sequence[SearchResourcesRequest]) -> None:
        self._searches = searches
        self._requests = requests
        self._all: list[float] = []

    async def p50(self) -> float:
        """Take the median in milliseconds of one round."""
        times = []
        for request in itertools.islice(itertools.cycle(self._requests), self._searches.repeats):
            started = time.perf_counter()
            answer = await self._searches.ask(request)
            times.append((time.perf_counter() - started) * 1000)
            if not answer.entries:
                raise ValueError("a search that is measured finds nothing")
        self._all += times
        return statistics.median(times)

    @property
    def p99(self) -> tuple[float, ...]:
        """Return the 99th percentile of all rounds, the one that warms up included."""
        return (sorted(self._all)[len(self._all) * 99 // 100],)
