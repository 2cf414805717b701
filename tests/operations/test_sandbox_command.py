"""`toro sandbox`: whole or not at all, private, and there again the next time."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import time
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from toro_core.sandbox import SandboxError, prepare


def patients(place: Any, server: Any, folder: Path) -> dict[str, Any]:
    facts = json.loads((folder / "sandbox.json").read_text())
    assert facts["base_url"] == f"{server.http}/fhir"
    done = place.toro(
        "token",
        "--key",
        facts["key"],
        "--client-id",
        facts["client_id"],
        "--token-url",
        facts["token_url"],
        "--scope",
        "system/Patient.rs",
    )
    assert done.returncode == 0, done.stderr
    headers = {"authorization": f"Bearer {done.stdout.strip()}"}
    found: dict[str, Any] = httpx.get(f"{facts['base_url']}/Patient?_sort=_id", headers=headers).json()
    return {entry["resource"]["id"]: entry["resource"] for entry in found["entry"]}


def start(place: Any, folder: Path, number: int = 3) -> Any:
    return place.running("sandbox", folder, "--port", "0", "--patients", str(number), TORO_STORAGE="")


def test_a_sandbox_is_made_once_private_and_served_again(place: Any) -> None:
    folder = place.folder / 'a "sandbox"'
    with start(place, folder) as server:
        first = patients(place, server, folder)
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(found) >= {"client.jwk", "sandbox.json", "toro.db", "toro.toml"}
        assert set(found.values()) == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert tomllib.loads((folder / "toro.toml").read_text())["storage"] == f"sqlite:///{folder}/toro.db"
    assert len(first) == 3
    with start(place, folder, number=9) as server:
        assert patients(place, server, folder) == first


def test_a_sandbox_may_be_a_folder_of_ndjson(place: Any) -> None:
    folder = place.folder / "sandbox"
    with place.running(
        "sandbox", folder, "--port", "0", "--patients", "2", "--storage", "ndjson", TORO_STORAGE=""
    ) as server:
        first = patients(place, server, folder)
    lines = (folder / "data/Patient.ndjson").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == first.keys()
    with start(place, folder) as server:
        assert patients(place, server, folder) == first


def test_a_sandbox_serves_within_three_seconds_of_work(place: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with start(place, place.folder / "sandbox", number=20):
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The processor's time: a test machine may be busy with other things.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3.5


@pytest.mark.parametrize("delay", [0.6, 1.3])
def test_one_killed_while_it_is_made_leaves_none_and_the_next_start_works(place: Any, delay: float) -> None:
    folder = place.folder / "sandbox"
    with place.start("sandbox", folder, "--port", "0", "--patients", "20") as process:
        time.sleep(delay)
        process.kill()
    if folder.exists():
        assert (folder / "toro.toml").is_file()
    for left in place.folder.glob(".sandbox*"):
        os.utime(left, (0, 0))
    with start(place, folder) as server:
        assert patients(place, server, folder)
    assert not list(place.folder.glob(".sandbox*"))


def test_one_interrupted_while_it_is_made_leaves_nothing(place: Any) -> None:
    with place.start("sandbox", "sandbox", "--port", "0", "--patients", "500") as process:
        while not any((place.folder / left.name / "toro.db").exists() for left in place.folder.glob(".sandbox*")):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert not [path for path in place.folder.iterdir() if "sandbox" in path.name and path.suffix != ".log"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SandboxError, match="not empty"):
        prepare(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_will_do_but_not_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SandboxError, match="the one you are in"):
        prepare(Path(), 1)
    (tmp_path / "here").mkdir()
    assert prepare(Path("here"), 1)
    assert not prepare(tmp_path / "here", 1)
    assert (tmp_path / "here" / "client.jwk").is_file()
