"""smart-fetch, a bulk client in use, against the server over HTTP, without a word about it on either side."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

COMMAND = Path(sys.executable).with_name("smart-fetch")
TYPES = ("Patient", "Condition", "Encounter", "DocumentReference", "Observation")


def ids(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.ndjson"):
        if path.name != "log.ndjson":
            lines = (json.loads(line) for line in path.read_text().splitlines())
            found.setdefault(path.name.partition(".")[0], set()).update(line["id"] for line in lines)
    return found


def test_its_bulk_export_and_crawl_runs_find_all_there_is(
    sandbox: Sandbox, records: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    key = json.loads(sandbox.key_file.read_text()) | {"key_ops": ["sign"]}
    jwks = tmp_path / "client.jwks"
    jwks.write_text(json.dumps({"keys": [key]}))
    group = next(record["id"] for record in records.values() if record["resourceType"] == "Group")
    common = (
        *("--fhir-url", sandbox.base_url, "--smart-client-id", sandbox.client_id, "--smart-key", jwks),
        *("--type", ",".join(TYPES), "--no-compression", "--no-default-filters"),
    )
    runs = {
        "bulk": ("bulk",),
        "export": ("export", "--export-mode", "bulk", "--group", group),
        "crawl": ("crawl", "--group", group),
    }
    started = {}
    for name, run in runs.items():
        (tmp_path / name).mkdir()
        started[name] = subprocess.Popen(
            [COMMAND, *run, tmp_path / name, *common], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    for name, process in started.items():
        with process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "Done" in said, said
        found = ids(tmp_path / name)
        for type_ in TYPES:
            given = {record["id"] for record in records.values() if record["resourceType"] == type_}
            assert given <= found[type_], (name, type_)
