from __future__ import annotations

import json
from pathlib import Path

import pytest

from toro_core.commands.main import main


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    resources = [
        {"resourceType": "Patient", "id": "1", "name": [{"family": "Lee"}]},
        {
            "resourceType": "Observation",
            "id": "2",
            "status": "final",
            "code": {},
            "subject": {"reference": "Patient/1"},
        },
    ]
    Path("in.ndjson").write_text("".join(json.dumps(resource) + "\n" for resource in resources))
    url = f"sqlite:///{tmp_path}/toro.db"
    assert main(["import", "in.ndjson", "--storage", url]) == 0
    return url


def test_matches_come_as_lines_and_what_is_cut_is_told(storage: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["search", "Observation?patient=1&_include=Observation:patient&_count=5000", "--storage", storage]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["2", "1"]
    assert "capped" in err


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("Patient?_summary=count", "1 in all"),
        ("Observation?_count=0", "1 in all"),
        ("Patient?name=x&_total=accurate", "0 in all"),
    ],
)
def test_a_total_that_is_asked_for_is_told(
    query: str, said: str, storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["search", query, "--storage", storage]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{said}\n")


def test_an_explanation_has_the_plan_in_words(storage: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["search", "--explain", "Patient/1/Observation?date=ge2024", "--storage", storage]) == 0
    out, _ = capsys.readouterr()
    assert "in the compartment of Patient/1" in out
    assert "date ge [2024-01-01T00:00:00Z, 2025-01-01T00:00:00Z)" in out


@pytest.mark.parametrize(("query", "code"), [("Foo?x=1", 2), ("a/b/c/Patient", 2), ("Patient?foo=1", 1)])
def test_what_is_no_search_is_refused(query: str, code: int, storage: str) -> None:
    assert main(["search", query, "--storage", storage]) == code
