import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from toro_core.commands.fhirpath import fhirpath

PATIENT = {"resourceType": "Patient", "id": "1", "gender": "male", "_gender": {"id": "g"}, "name": [{"family": "Roe"}]}


def run(expression: str, file: Path) -> Result:
    return CliRunner().invoke(fhirpath, [expression, str(file)], standalone_mode=False)


def written(folder: Path, name: str, *resources: dict[str, Any]) -> Path:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, resources)), "utf-8")
    return path


def test_each_value_is_a_line_with_its_type(tmp_path: Path) -> None:
    result = run("name | gender | birthDate | 1.50", written(tmp_path, "p.json", PATIENT))
    assert result.return_value == 0
    assert result.output.splitlines() == [
        '{"type":"HumanName","value":{"family":"Roe"}}',
        '{"type":"code","value":"male","_value":{"id":"g"}}',
        '{"type":"System.Decimal","value":1.50}',
    ]


def test_lines_of_ndjson_are_told_apart_and_one_that_fails_does_not_stop_the_rest(tmp_path: Path) -> None:
    other = {"resourceType": "Patient", "name": [{"family": "Lee"}, {"family": "Ray"}]}
    result = run("name.family.single()", written(tmp_path, "p.ndjson", PATIENT, other, {"resourceType": "X"}, PATIENT))
    assert result.return_value == 1
    assert f'{{"at":"{tmp_path}/p.ndjson:1","type":"string","value":"Roe"}}' in result.output
    assert f'{{"at":"{tmp_path}/p.ndjson:4","type":"string","value":"Roe"}}' in result.output
    assert "p.ndjson:2: FHIRPath: single() was called on several values." in result.output
    assert "p.ndjson:3: FHIRPath: the input is no resource of a known type." in result.output


def test_a_bundle_is_evaluated_itself_and_its_references_are_followed(tmp_path: Path) -> None:
    observation = {"resourceType": "Observation", "subject": {"reference": "Patient/1"}}
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": PATIENT}, {"resource": observation}],
    }
    text = "Bundle.entry.resource.ofType(Observation).subject.resolve().id"
    assert run(text, written(tmp_path, "b.json", bundle)).output == '{"type":"id","value":"1"}\n'


def test_an_expression_that_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(fhirpath, ["name.", str(written(tmp_path, "p.json", PATIENT))])
    assert result.exit_code == 2
    assert "EXPRESSION" in result.output


@pytest.mark.parametrize("text", ["names", "now(1)", "unheard()"])
def test_an_expression_that_does_not_fit_the_type_fails(text: str, tmp_path: Path) -> None:
    assert run(text, written(tmp_path, "p.json", PATIENT)).return_value == 1


def test_a_file_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    result = run("name", tmp_path / "none.json")
    assert result.return_value == 1
    assert "cannot be read" in result.output
