"""Reading FHIR files."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from toro_core.importing import Incoming, Refused, find_files, read_file
from toro_core.importing.deletions import Deleted, deleted_in
from toro_core.importing.manifests import read_manifest


def resources(path: Path) -> list[dict[str, Any]]:
    return [one.resource for one in read_file(path) if isinstance(one, Incoming)]


def refused(path: Path) -> list[Refused]:
    return [one for one in read_file(path) if isinstance(one, Refused)]


def test_folders_are_searched_and_other_files_left(tmp_path: Path) -> None:
    for name in ("b.ndjson", "a.json", "deep/c.ndjson.gz", "readme.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_files([tmp_path])] == ["a.json", "b.ndjson", "c.ndjson.gz"]


def test_of_a_bulk_export_the_files_that_its_manifest_names_are_found(tmp_path: Path) -> None:
    def item(name: str) -> dict[str, Any]:
        return {"type": "Patient", "url": f"https://fhir.example.org/files/{name}?signed=x"}

    manifest = {
        "transactionTime": "2026-01-01T00:00:00Z",
        "output": [item("b%20.ndjson"), item("a.ndjson"), item("never-downloaded.ndjson")],
        "deleted": [item("gone.ndjson")],
        "error": [item("errors.ndjson")],
    }
    bundle = {
        "entry": [{"request": {"method": "DELETE", "url": "Patient/1"}}, {"request": {"method": "PUT", "url": "x"}}]
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for name in ("a.ndjson.gz", "b .ndjson", "errors.ndjson", "other.ndjson"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "gone.ndjson").write_text(json.dumps(bundle) + "\n\nno json\n" + json.dumps(bundle) + "\n")
    assert [path.name for path in find_files([tmp_path])] == ["b .ndjson", "a.ndjson.gz", "never-downloaded.ndjson"]
    found = read_manifest(tmp_path)
    assert found
    (deleted,) = found.deleted
    assert [(one.place, one.name if isinstance(one, Deleted) else None) for one in deleted_in(deleted)] == [
        (f"{deleted}:1", "Patient/1"),
        (f"{deleted}:3", None),
        (f"{deleted}:4", "Patient/1"),
    ]
    (tmp_path / "manifest.json").write_text('{"resourceType": "Patient"}')
    assert read_manifest(tmp_path) is None


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.json"):
        find_files([tmp_path / "gone.json"])


@pytest.mark.parametrize("ending", [".ndjson", ".ndjson.gz"])
def test_a_bad_line_is_told_by_its_number_and_the_rest_is_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"Patient{ending}"
    text = b'{"resourceType":"Patient","id":"1"}\n\n{"resourceType":\n{"resourceType":"Patient","id":"2"}'
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    assert [one["id"] for one in resources(path)] == ["1", "2"]
    assert [one.place for one in refused(path)] == [f"{path}:3"]


def test_a_torn_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "Patient.ndjson.gz"
    whole = gzip.compress(b'{"resourceType":"Patient","id":"1"}\n' * 20_000)
    path.write_bytes(whole[: len(whole) // 2])
    assert len(resources(path)) > 1_000
    assert len(refused(path)) >= 1


def write_bundle(path: Path, kind: str, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}))
    return path


def test_references_among_a_transactions_entries_are_rewritten(tmp_path: Path) -> None:
    patient = {
        "fullUrl": "urn:uuid:p",
        "resource": {"resourceType": "Patient", "id": "7"},
        "request": {"method": "POST"},
    }
    nested = {"extension": [{"url": "x", "valueReference": {"reference": "urn:uuid:p"}}]}
    observation = {
        "fullUrl": "urn:uuid:o",
        "resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:p"}, **nested},
        "request": {"method": "POST", "url": "Observation"},
    }
    first, second = resources(write_bundle(tmp_path / "b.json", "transaction", patient, observation))
    assert first["id"] == "7"
    assert second["subject"] == {"reference": "Patient/7"}
    assert second["extension"] == [{"url": "x", "valueReference": {"reference": "Patient/7"}}]
    assert len(str(second["id"])) == 36


def test_a_put_gives_the_id(tmp_path: Path) -> None:
    entry = {"resource": {"resourceType": "Patient"}, "request": {"method": "PUT", "url": "Patient/85"}}
    assert resources(write_bundle(tmp_path / "b.json", "transaction", entry))[0]["id"] == "85"


def test_entries_that_do_not_store_are_told(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "b.json", "batch", {"request": {"method": "DELETE", "url": "Patient/1"}}, {})
    assert [one.place for one in refused(path)] == [f"{path} entry 0", f"{path} entry 1"]


def test_a_document_is_a_resource_of_its_own(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "b.json", "document", {"resource": {"resourceType": "Composition"}})
    assert [one["resourceType"] for one in resources(path)] == ["Bundle"]


def test_a_single_resource_is_read(tmp_path: Path) -> None:
    path = tmp_path / "Group.json"
    path.write_text('{"resourceType":"Group","id":"1a"}')
    assert resources(path) == [{"resourceType": "Group", "id": "1a"}]


def test_xml_is_read_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.xml"
    patient = '<Patient xmlns="http://hl7.org/fhir"><id value="1"/></Patient>'
    entry = f"<entry><resource>{patient}</resource></entry>"
    path.write_text(f'<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>{entry}</Bundle>')
    assert resources(path) == [{"resourceType": "Patient", "id": "1"}]
    assert find_files([tmp_path]) == []
    assert find_files([path]) == [path]
    path.write_text('<Patient xmlns="http://hl7.org/fhir"><a/><b/></Patient>')
    assert [one.why[:9] for one in refused(path)] == ["Patient.a", "Patient.b"]


def test_xml_without_lxml_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    (tmp_path / "in.xml").write_text("<Patient/>")
    assert ["toro-fhir[xml]" in one.why for one in refused(tmp_path / "in.xml")] == [True]


def test_a_file_that_the_manifest_names_and_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = {"transactionTime": "2026-01-01T00:00:00Z", "output": [{"url": "https://a/gone.ndjson"}]}
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    (path,) = find_files([tmp_path])
    (found,) = read_file(path)
    assert isinstance(found, Refused)
    assert "cannot be read" in found.why


@pytest.mark.parametrize(
    "told", [{"output": ["a"]}, {"output": [{"url": 1}]}, {"output": [], "deleted": 1}, {"output": 1}]
)
def test_a_file_of_that_name_which_is_no_manifest_is_one_among_others(tmp_path: Path, told: dict[str, object]) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"transactionTime": "2026-01-01T00:00:00Z", **told}))
    assert find_files([tmp_path]) == [tmp_path / "manifest.json"]


def test_entries_of_deletions_that_are_no_objects_are_passed_over(tmp_path: Path) -> None:
    bundle = {"entry": [7, {"request": 7}, {"request": {"method": "DELETE", "url": "Patient/a"}}]}
    (tmp_path / "deleted.ndjson").write_text(json.dumps(bundle))
    path = tmp_path / "deleted.ndjson"
    assert list(deleted_in(path)) == [Deleted(f"{path}:1", "Patient/a")]
