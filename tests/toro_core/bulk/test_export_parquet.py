"""Exports as Parquet: that nothing is lost, and that the queries of docs/analytics.md run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from toro_core.bulk.errors import InvalidExport
from toro_core.definitions import load
from toro_core.json import dumps, loads
from toro_core.synthetic import generate
from toro_core.testing.memory import MemoryStorage

PAGE = Path(__file__).parents[3] / "docs" / "analytics.md"
DEFINITIONS = load()
PARQUET = {"output_format": "application/vnd.apache.parquet"}


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    odd = {
        "resourceType": "Patient",
        "id": "odd",
        "_birthDate": {"extension": [{"url": "http://example.org/why", "valueString": "Größe"}]},
        "multipleBirthInteger": 2,
        "name": [{"given": ["A", None], "_given": [None, {"id": "x"}]}],
        "identifier": [{"assigner": {"identifier": {"assigner": {"display": "within itself"}}}}],
        "contained": [{"resourceType": "Organization", "id": "o"}],
    }
    exact = {
        "resourceType": "Observation",
        "id": "exact",
        "status": "final",
        "code": {"text": "x"},
        "valueQuantity": {"value": 1.5},
    }
    return [*generate(patients=3), odd, exact]


async def exported(kit: Any, tmp_path: Path, resources: list[dict[str, Any]], **asked: Any) -> tuple[Any, Path]:
    place = kit.place_on(MemoryStorage(), tmp_path / "exports", kit.Limits())
    await place.put(*resources)
    job = await place.export(**asked)
    folder = tmp_path / "lake"
    folder.mkdir()
    for file in job.files:
        (tmp_path / "exports" / file.stored).rename(folder / file.name)
    return job, folder


def restored(row: dict[str, Any], name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Make JSON of a row again, going by the definitions."""
    members = DEFINITIONS.structure(name).members
    found: dict[str, Any] = {}
    for column, value in row.items():
        if value is None:
            continue
        if column == "_more":
            found |= loads(value.encode())
        elif column == "resourceType":
            found[column] = value
        else:
            element, choice = members[column]
            values = value if element.repeats else [value]
            made = [None if one is None else _value(one, choice.type, (*above, name)) for one in values]
            found[column] = made if element.repeats else made[0]
    return found


def _value(value: Any, name: str, above: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return restored(value, name, above)
    if name in ("Extension", "Resource", "decimal") or name in above:
        return loads(b'{"json":%s}' % value.encode())["json"]
    return value


async def test_every_row_makes_the_resource_again(kit: Any, tmp_path: Path, resources: list[dict[str, Any]]) -> None:
    job, folder = await exported(kit, tmp_path, resources, **PARQUET)
    found = {}
    for file in job.files:
        assert file.name.endswith(".parquet")
        assert file.size == (folder / file.name).stat().st_size
        rows = pq.read_table(folder / file.name).to_pylist()
        assert len(rows) == file.count
        for row in rows:
            resource = restored(row, file.type)
            meta = resource.pop("meta")
            assert meta.pop("versionId") == "1"
            found[f"{file.type}/{row['id']}"] = resource | ({"meta": meta} if len(meta) > 1 else {})
    for resource in resources:
        wanted = loads(dumps(resource))
        name = f"{resource['resourceType']}/{resource['id']}"
        if name not in found:
            assert resource["resourceType"] == "Binary"
            continue
        found[name].get("meta", {}).pop("lastUpdated", None)
        wanted_meta: Any = wanted.get("meta")
        if wanted_meta:
            wanted_meta.pop("lastUpdated", None)
        relative = dumps(_sorted(found[name])).replace(f"{kit.BASE}/Binary/".encode(), b"Binary/")
        assert relative == dumps(_sorted(wanted)), name


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


async def test_the_queries_of_the_page_run(kit: Any, tmp_path: Path, resources: list[dict[str, Any]]) -> None:
    _, folder = await exported(kit, tmp_path, resources, **PARQUET)
    (folder / "Encounter.1.ndjson").write_bytes(
        b"\n".join(dumps(one) for one in resources if one["resourceType"] == "Encounter")
    )
    queries = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(queries) == 5
    with duckdb.connect() as connection:
        connection.execute(f"SET file_search_path = '{folder}'")
        answers = [connection.execute(query).fetchall() for query in queries]
    results, genders, races, statuses, _ = answers
    tests = Counter(
        one["code"]["coding"][0].get("display")
        for one in resources
        if "valueQuantity" in one and one["resourceType"] == "Observation" and "coding" in one["code"]
    )
    assert [row[1] for row in results if row[0] is not None] == [
        count for name, count in sorted(tests.items(), key=lambda each: (-each[1], each[0]))
    ][: len([row for row in results if row[0] is not None])]
    encounters = [one for one in resources if one["resourceType"] == "Encounter"]
    assert sum(row[2] for row in genders) == len(encounters)
    assert sum(row[1] for row in races) == 3
    assert sum(row[1] for row in statuses) == len(encounters)


async def test_errors_and_deletions_stay_ndjson(kit: Any, tmp_path: Path) -> None:
    place = kit.place_on(MemoryStorage(), tmp_path)
    await place.put(kit.patient(0), kit.patient(1))
    await place.delete("Patient/p1")
    job = await place.export(since="2020-01-01", unknown=["_x"], handling="HANDLING_LENIENT", **PARQUET)
    assert {file.name for file in job.files} == {
        "Patient.1.parquet",
        "deleted.Bundle.1.ndjson",
        "error.OperationOutcome.1.ndjson",
    }


async def test_without_pyarrow_parquet_is_refused(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toro_core.bulk.asking.find_spec", lambda name: None)
    with pytest.raises(InvalidExport):
        await kit.place_on(MemoryStorage(), tmp_path).start(**PARQUET)
