from __future__ import annotations

import json
from pathlib import Path

import pytest

from toro_core.commands.main import main

SOUND = '{"resourceType":"Basic","code":{"text":"x"}}'
BROKEN = '{"resourceType":"Basic","code":{"text":"x"},"created":"2024-02-30"}'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_sound_files_end_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(SOUND)
    assert main(["validate", "a.json"]) == 0
    assert capsys.readouterr().out == "1 resources: nothing found\n"


def test_errors_are_listed_by_file_and_line_and_end_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Basic.ndjson").write_text(f"{SOUND}\n{BROKEN}\n{{\n")
    assert main(["validate", "Basic.ndjson"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error")
    assert "Basic.ndjson:2  Basic.created is no valid date" in lines[0]
    assert lines[1].startswith("fatal")
    assert "Basic.ndjson:3" in lines[1]
    assert lines[2] == "3 resources: 1 fatal, 1 error"


def test_json_is_one_operation_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.json").write_text(BROKEN)
    assert main(["validate", "b.json", "--json"]) == 1
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["resourceType"] == "OperationOutcome"
    (issue,) = outcome["issue"]
    assert (issue["severity"], issue["code"], issue["location"], issue["expression"]) == (
        "error",
        "value",
        ["b.json"],
        ["Basic.created"],
    )


def test_a_bundle_is_judged_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": json.loads(SOUND)}]}
    (tmp_path / "c.json").write_text(json.dumps(bundle))
    assert main(["validate", "c.json"]) == 1
    assert "bdl-3" in capsys.readouterr().out


def test_profiles_and_policy_can_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.json").write_text('{"resourceType":"Patient","active":true}')
    assert main(["validate", "p.json"]) == 0
    assert "warning" in capsys.readouterr().out
    assert main(["validate", "p.json", "--profile-policy", "off"]) == 0
    assert main(["validate", "p.json", "--profile-policy", "enforce"]) == 1
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    assert main(["validate", "p.json", "--profile-policy", "off", "--profile", profile]) == 1
