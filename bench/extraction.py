"""What index rows cost, beside parsing."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bench.rounds import Row, Target, compare, take
from toro_core.definitions import load
from toro_core.json import dumps, loads
from toro_core.search.extract import Extractor
from toro_core.synthetic import generate

__all__ = ["measure_extraction"]

_PATIENTS = 4


async def measure_extraction(*, repeats: int, rounds: int) -> Row:
    """Compare the extraction of an Observation's rows with `json.loads` of the same bytes."""
    bodies = [dumps(one) for one in generate(patients=_PATIENTS) if one["resourceType"] == "Observation"]
    samples = {
        "parsed": _each(json.loads, bodies, repeats),
        "extracted": _each(Extractor(load(), ()).rows, [loads(body) for body in bodies], repeats),
    }
    taken = await take(samples, rounds=rounds)
    target = Target(kind="at most", ratio=2)
    return compare("index rows of an Observation", "µs CPU", taken["extracted"], "json.loads", taken["parsed"], target)


def _each(work: Callable[[Any], Any], inputs: Sequence[Any], repeats: int) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        gc.collect()
        started = time.process_time()
        for _ in range(repeats):
            for one in inputs:
                work(one)
        return (time.process_time() - started) / (len(inputs) * repeats) * 1e6

    return sample
