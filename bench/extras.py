"""What a corpus has beside the synthetic resources: a patient with a fiftieth of everything, Provenances, updates and deletes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from toro_core.json import JsonObject, dumps, loads
from toro_core.storage import Key, Storage, Write
from toro_core.synthetic import bench_resources

__all__ = ["GIANT", "churned", "delete_gone", "extra_lines"]

GIANT = "Patient/giant"
"""Owns one Observation in fifty."""
_SHARE = 50
_CHURN = 100
"""One Observation in so many is updated, and one deleted."""
_SEED = 2


def extra_lines(resources: int) -> Iterator[bytes]:
    """Write more resources as lines of NDJSON."""
    yield dumps({"resourceType": "Patient", "id": "giant", "name": [{"family": "Giant"}]})
    for number, observation in enumerate(_observations(resources // _SHARE)):
        yield dumps({**observation, "id": f"giant-{number}", "subject": {"reference": GIANT}})
    for number in range(resources // _SHARE):
        yield dumps(_provenance(number))
    yield from churned(resources, updated=False)


def churned(resources: int, *, updated: bool) -> Iterator[bytes]:
    """Write what is updated, which moves its date, and before that what is deleted later."""
    for number, observation in enumerate(_observations(resources // _CHURN)):
        date = f"20{10 + number % 14}-0{1 + number % 9}-11" if updated else "2024-12-30"
        dateless = {name: value for name, value in observation.items() if not name.startswith("effective")}
        yield dumps({**dateless, "id": f"moved-{number}", "effectiveDateTime": date})
        if not updated:
            yield dumps({**observation, "id": f"gone-{number}"})


async def delete_gone(storage: Storage, resources: int) -> None:
    """Delete what is there to be deleted."""
    gone = [Write(key=Key("Observation", f"gone-{number}"), body=None) for number in range(resources // _CHURN)]
    for start in range(0, len(gone), 1_000):
        await storage.commit(gone[start : start + 1_000])


def _observations(count: int) -> Iterator[JsonObject]:
    """Give so many that are not among the others."""
    made = (one for one in bench_resources(2 * count + _SHARE, seed=_SEED) if one["resourceType"] == "Observation")
    return (loads(dumps(one)) for one in islice(made, count))


def _provenance(number: int) -> JsonObject:
    return {
        "resourceType": "Provenance",
        "id": f"bench-{number}",
        "target": [{"reference": f"Observation/bench-{number * 7 + each}"} for each in range(1 + number % 3)],
        "recorded": f"20{10 + number % 14}-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/1"}}],
    }
