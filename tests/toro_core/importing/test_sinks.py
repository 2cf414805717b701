"""Batches, what becomes of them, and resources of any shape."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toro_core.definitions import load
from toro_core.errors import StorageFull
from toro_core.importing import Incoming, Outcome, Refused, Report, StorageSink, import_resources
from toro_core.importing.bundles import unbundle
from toro_core.json import JsonObject, loads
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Stored, Write
from toro_core.testing.memory import MemoryStorage


class Memory(MemoryStorage):
    """A storage that tells what is committed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Write] = []

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        self.writes += writes
        return await super().commit(writes)


class Noting:
    """A sink that notes the sizes of its batches, refuses what is named so, and fails at a batch."""

    def __init__(self, fails_at: int = 1_000) -> None:
        self.sizes: list[int] = []
        self._fails_at = fails_at

    async def store(self, batch: Sequence[Incoming]) -> Outcome:
        if len(self.sizes) == self._fails_at:
            raise StorageFull
        self.sizes.append(len(batch))
        assert not gc.isenabled()
        return Outcome(refused=[Refused(place=one.place, why="named so") for one in batch if one.place.endswith("bad")])

    async def delete(self, name: str) -> bool:
        raise StorageFull


def incoming(count: int, size: int = 10, kind: str = "Patient") -> list[Incoming]:
    return [Incoming(place=f"a:{number}", resource={"resourceType": kind}, size=size) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "size", "batches"),
    [(0, 1, []), (1, 1, [1]), (4_001, 1, [2_000, 2_000, 1]), (5, 3_000_000, [3, 2]), (2, 50_000_000, [1, 1])],
)
async def test_batches_are_bounded_by_count_and_by_bytes(count: int, size: int, batches: list[int]) -> None:
    sink, report = Noting(), Report()
    await import_resources(incoming(count, size), sink, report)
    assert sink.sizes == batches
    assert report.stored.total() == count


async def test_what_was_refused_on_either_side_is_reported_and_not_counted() -> None:
    report = Report()
    some: list[Incoming | Refused] = [
        *incoming(2),
        Refused(place="a:9", why="no JSON"),
        Incoming(place="bad", resource={}, size=1),
    ]
    await import_resources(some, Noting(), report)
    assert dict(report.stored) == {"Patient": 2}
    assert [one.place for one in report.refused] == ["a:9", "bad"]


async def test_batches_before_a_failure_are_in_the_report() -> None:
    report = Report()
    with pytest.raises(StorageFull):
        await import_resources(incoming(5_000), Noting(fails_at=2), report)
    assert report.stored.total() == 4_000
    assert gc.isenabled()


async def test_with_stop_nothing_follows_the_batch_in_which_something_is_refused() -> None:
    sink, report = Noting(), Report()
    bad = Incoming(place="bad", resource={"resourceType": "Patient"}, size=1)
    await import_resources([*incoming(10), bad, *incoming(5_000)], sink, report, stop=True)
    assert sink.sizes == [2_000]
    assert report.stored.total() == 1_999


DEFINITIONS = load()
EXTRACTOR = Extractor(DEFINITIONS, ())
OBSERVATION = json.dumps(
    {
        "resourceType": "Observation",
        "id": "1",
        "meta": {"profile": ["http://example.org/p"], "tag": [{"system": "http://example.org", "code": "t"}]},
        "identifier": [{"system": "http://example.org", "value": "1"}],
        "status": "final",
        "category": [{"coding": [{"system": "http://example.org", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}], "text": "x"},
        "subject": {"reference": "Patient/1"},
        "effectivePeriod": {"start": "2024-01-01", "end": "2024-01-02"},
        "valueQuantity": {"value": 1.0, "unit": "x"},
        "component": [{"code": {"text": "y"}, "valueDateTime": "2024"}],
    }
).encode()
JUNK: list[Any] = [None, True, 5, "x", [], {}, [5], ["x"], {"a": 1}, [None], [[{}]], {"reference": 1}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for step, inner in below for place in places(inner, (*path, step))]
    return [path, *found] if path and path != ("resourceType",) else found


PLACES = places(loads(OBSERVATION))


def changed(changes: Sequence[tuple[tuple[Any, ...], Any]]) -> JsonObject:
    resource = loads(OBSERVATION)
    for path, junk in changes:
        node: Any = resource
        try:
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = deepcopy(junk)  # later changes write into it
        except (TypeError, KeyError, IndexError):
            continue  # an earlier change took the place away
    return resource


@settings(deadline=None)  # the rules of all types are compiled on first use
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(JUNK)), min_size=1, max_size=3), st.booleans())
async def test_a_resource_of_any_shape_is_stored_or_refused(
    changes: list[tuple[tuple[Any, ...], Any]], strict: bool
) -> None:
    memory = Memory()
    sink = StorageSink(memory, DEFINITIONS, EXTRACTOR, strict=strict)
    outcome = await sink.store([Incoming(place="a:1", resource=changed(changes), size=1)])
    assert len(memory.writes) + len(outcome.refused) == 1
    assert not (strict and outcome.warned)
    assert [one.place for one in (*outcome.refused, *outcome.warned)] in ([], ["a:1"])


async def test_a_resource_without_an_id_gets_one() -> None:
    memory = Memory()
    sink = StorageSink(memory, DEFINITIONS, EXTRACTOR, strict=True)
    await sink.store([Incoming(place="a:1", resource={"resourceType": "Patient"}, size=1)])
    [write] = memory.writes
    assert write.key == Key("Patient", write.key.id)
    assert len(write.key.id) == 36


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": json_values | st.just("transaction"),
            "entry": json_values
            | st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "fullUrl": json_values,
                        "resource": json_values | st.just({"resourceType": "Patient"}),
                        "request": json_values
                        | st.fixed_dictionaries({}, optional={"method": json_values, "url": json_values}),
                    },
                ),
                max_size=3,
            ),
        },
    )
)
def test_a_bundle_of_any_shape_is_taken_apart(bundle: JsonObject) -> None:
    for resource, why in unbundle(bundle):
        assert (resource is None) == bool(why)
