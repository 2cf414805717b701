"""What validation costs: beside parsing, and as a part of a create."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from bench.corpus import url
from bench.rounds import Row, Target, compare, take
from toro_core.definitions import load
from toro_core.json import JsonObject, dumps, loads
from toro_core.plugins import open_storage
from toro_core.resources import new_id
from toro_core.search.extract import Extractor
from toro_core.storage import ABSENT, Key, Write
from toro_core.synthetic import generate
from toro_core.validation import Report, Validator
from toro_core.writing import Drafter

__all__ = ["heart_rates", "measure_create", "measure_validation", "of_type", "rate"]

_PATIENTS = 4


async def measure_validation(*, repeats: int, rounds: int) -> list[Row]:
    """Compare the validation of heart rates and Patients, R4 and US Core, with `json.loads` of the same bytes."""
    validator = Validator(load())
    rows = []
    # The targets are what a spike of this design reached, on a Patient three times that.
    for what, bodies, target in (("heart rate", heart_rates(), 0.16), ("Patient", of_type("Patient"), 0.19)):
        samples = {
            "parsed": rate(json.loads, bodies, repeats),
            "validated": rate(validator.validate, [loads(body) for body in bodies], repeats),
        }
        taken = await take(samples, rounds=rounds)
        least = Target(kind="at least", ratio=target)
        rows.append(
            compare(f"validation of a {what}", "/s CPU", taken["validated"], "json.loads", taken["parsed"], least)
        )
    return rows


async def measure_create(folder: Path, *, creates: int, rounds: int) -> Row:
    """Compare the CPU of creating Observations, parse to commit, with that of creating them unchecked."""
    bodies = (heart_rates() * creates)[:creates]
    definitions = load()
    extractor = Extractor(definitions, ())
    async with open_storage(url(folder / "creates.db")) as storage:

        def create(validator: Validator) -> Callable[[], Awaitable[float]]:
            drafter = Drafter(validator, extractor)

            async def sample() -> float:
                started = time.process_time()
                for body in bodies:
                    key = Key("Observation", new_id())
                    draft = await drafter.draft(body, key, same_id=False)
                    await storage.commit([Write(key=key, body=draft.body, rows=draft.rows, expect=ABSENT)])
                return (time.process_time() - started) / creates * 1e6

            return sample

        samples = {"unchecked": create(_Unchecked(definitions)), "validated": create(Validator(definitions))}
        taken = await take(samples, rounds=rounds)
    target = Target(kind="at most", ratio=1.6)
    return compare("create, validated", "µs CPU", taken["validated"], "unchecked", taken["unchecked"], target)


class _Unchecked(Validator):
    """Finds nothing."""

    def validate(self, resource: JsonObject, profiles: Any = ()) -> Report:
        """Accept the resource."""
        return Report(issues=(), broken=None)


def rate(work: Callable[[Any], Any], inputs: Sequence[Any], repeats: int) -> Callable[[], Awaitable[float]]:
    """Return a sample of how many inputs a second of CPU are worked through."""

    async def sample() -> float:
        gc.collect()
        started = time.process_time()
        for _ in range(repeats):
            for one in inputs:
                work(one)
        return len(inputs) * repeats / (time.process_time() - started)

    return sample


def of_type(resource_type: str) -> Sequence[bytes]:
    """Return synthetic resources of a type."""
    return [dumps(one) for one in generate(patients=_PATIENTS) if one["resourceType"] == resource_type]


def heart_rates() -> list[bytes]:
    """Return the Observations that claim the profile of heart rates."""
    return [body for body in of_type("Observation") if b"us-core-heart-rate" in body]
