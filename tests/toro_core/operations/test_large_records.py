"""A record takes as much memory as a part of it, however large it is, and its last page costs what its first one did."""

from __future__ import annotations

import json
import statistics
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from toro_core.definitions import load
from toro_core.json import loads
from toro_core.resources import body
from toro_core.search.extract import Extractor
from toro_core.storage import Key, Write
from toro_core.v1 import FetchEverythingRequest, InvokeOperationRequest, Metadata, OperationArgument

if TYPE_CHECKING:
    from tests.toro_core.conftest import Partner
    from tests.toro_core.operations.conftest import Records

PERFORMERS = 40


async def fill(partner: Partner, number: int, size: int) -> None:
    """Store a patient with so many Observations of so many bytes, written by a hundredth as many practitioners."""
    extractor = Extractor(load(), partner.settings.own_bases())
    performers = number // PERFORMERS
    resources = [{"resourceType": "Patient", "id": "1"}]
    resources += [{"resourceType": "Practitioner", "id": f"p{n}"} for n in range(performers)]
    writes: list[Write] = []
    for n in range(-len(resources), number):
        resource = resources[n] if n < 0 else observation(n, performers, size)
        tree = loads(json.dumps(resource).encode())
        key = Key(str(resource["resourceType"]), str(resource["id"]))
        writes.append(Write(key=key, body=body(tree, key.id), rows=extractor.rows(tree)))
        if len(writes) == 1000:
            await partner.storage.commit(writes)
            writes = []
    await partner.storage.commit(writes)


def observation(n: int, performers: int, size: int) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": f"o{n}",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "Patient/1"},
        "performer": [{"reference": f"Practitioner/p{n % performers}"}],
        "effectiveDateTime": f"20{n % 25:02}-0{n % 9 + 1}-11",
        "note": [{"text": "x" * size}],
    }


@pytest.mark.parametrize(
    ("number", "size", "count"),
    [(1_500, 12_000, 100), pytest.param(50_000, 2_000, 500, marks=pytest.mark.slow)],
)
async def test_a_large_record_streams_and_pages_within_a_memory_ceiling(
    empty: Records, partner: Partner, number: int, size: int, count: int
) -> None:
    await fill(partner, number, size)
    expected = number + number // PERFORMERS + 1
    metadata = await partner.may("system/*.rs")
    tracemalloc.start()
    try:
        names = await streamed(empty, metadata)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(names) == len(set(names)) == expected
    ceiling = 10 << 20
    mine = sum(map(sys.getsizeof, names)) + sys.getsizeof(names)
    assert peak - mine < ceiling < number * size * 2 // 3, peak
    paged, times = await walked(empty, metadata, count)
    assert sorted(paged) == sorted(names)
    if len(times) > 50:
        assert statistics.median(times[-10:]) < 3 * statistics.median(times[2:12])


async def streamed(records: Records, metadata: Metadata) -> list[str]:
    names = []
    async for part in records.core.FetchEverything(FetchEverythingRequest(name="Patient/1"), metadata=metadata):
        assert part.ByteSize() < 3 << 20
        names += [entry.resource.name for entry in part.entries]
    return names


async def walked(records: Records, metadata: Metadata, count: int) -> tuple[list[str], list[float]]:
    """Walk page by page; return the names and what each page took."""
    asked = OperationArgument(name="_count", value=str(count))
    request = InvokeOperationRequest(operation="everything", name="Patient/1", arguments=[asked])
    names: list[str] = []
    times = []
    while True:
        started = time.perf_counter()
        page = (await records.core.InvokeOperation(request, metadata=metadata)).page
        times.append(time.perf_counter() - started)
        names += [entry.resource.name for entry in page.entries]
        if not page.next_page_token:
            return names, times
        request = InvokeOperationRequest(operation="everything", name="Patient/1", page_token=page.next_page_token)
