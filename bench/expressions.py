"""What evaluating the expressions of search parameters costs, beside parsing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.rounds import Row, Target, compare, take
from bench.validation import heart_rates, of_type, rate
from toro_core.definitions import Definitions, load
from toro_core.fhirpath.branches import closure
from toro_core.fhirpath.compiler import compile_expression
from toro_core.json import loads

__all__ = ["measure_expressions"]

_SPIKE: Final = {"Observation": 0.25, "Patient": 0.53}
"""What a spike of this design reached for these expressions, without counting the conversion into index rows either."""
_SLOWER: Final = 1.3


async def measure_expressions(*, repeats: int, rounds: int) -> list[Row]:
    """Compare evaluating all search expressions of a type with `json.loads` of the same bytes."""
    definitions = load()
    rows = []
    for resource_type, bodies in (("Observation", heart_rates()), ("Patient", of_type("Patient"))):
        samples = {
            "parsed": rate(json.loads, bodies, repeats),
            "evaluated": rate(_expressions(resource_type, definitions), [loads(body) for body in bodies], repeats),
        }
        taken = await take(samples, rounds=rounds)
        least = Target(kind="at least", ratio=round(_SPIKE[resource_type] / _SLOWER, 2))
        what = f"search expressions of {'an' if resource_type[0] in 'AEIOU' else 'a'} {resource_type}"
        rows.append(compare(what, "/s CPU", taken["evaluated"], "json.loads", taken["parsed"], least))
    return rows


def _expressions(resource_type: str, definitions: Definitions) -> Callable[[Any], Sequence[Any]]:
    runs = [
        closure(branch)
        for code, facts in definitions.search_parameters(resource_type).items()
        if facts.type not in ("composite", "special") and code not in ("_id", "_lastUpdated")
        for branch in compile_expression(facts.expression, resource_type, definitions).branches
    ]
    return lambda resource: [run([resource]) for run in runs]
