from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from toro_core.commands.main import main


def test_a_database_of_unknown_rules_is_searched_after_it_has_been_indexed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.json").write_text(json.dumps({"resourceType": "Patient", "id": "1", "name": [{"family": "Lee"}]}))
    url = "sqlite:///toro.db"
    assert main(["import", "in.json", "--storage", url]) == 0
    with sqlite3.connect("toro.db") as connection:
        connection.execute("DELETE FROM state WHERE key = 'search/rules'")
        connection.execute("DELETE FROM string")
    connection.close()
    capsys.readouterr()
    assert main(["search", "Patient?name=lee", "--storage", url]) == 1
    assert "toro reindex" in capsys.readouterr().err
    assert main(["reindex", "--storage", url]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("1 resources indexed\n", "Patient: 1 indexed so far\n")
    assert main(["search", "Patient?name=lee", "--storage", url]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "1"
    assert main(["reindex", "--storage", url]) == 0
    assert capsys.readouterr().out == "The index is up to date.\n"
