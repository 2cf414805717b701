"""A plugin from outside, installed as an operator would, and certified."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "example_plugin"
TORO = Path(sys.executable).with_name("toro")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the plugin into a folder and return it; its source is copied first, as building leaves files beside it."""
    source = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "plugin")
    target = tmp_path_factory.mktemp("installed")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *options, "--target", target, source],
        check=True,
        capture_output=True,
    )
    return target


def toro(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [TORO, *arguments], cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=120
    )


def test_a_plugin_installed_from_outside_is_listed_and_certified(installed: Path, tmp_path: Path) -> None:
    listed = toro(installed, tmp_path, "storage", "list").stdout
    assert [line.split()[0] for line in listed.splitlines()][:1] == ["example://"]
    assert "toro-example 1.0.0" in listed
    done = toro(installed, tmp_path, "storage", "check", "example://", "--volatile", "--report", "report.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "example storage (toro-example 1.0.0) is certified" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["scheme"], report["plugin"], report["failed"]) == ("example", "toro-example 1.0.0", 0)
    assert report["passed"] > 100
    assert {result["group"] for result in report["results"]} >= {"commit", "differential", "feed", "page", "state"}


def test_a_storage_that_forgets_and_does_not_say_so_is_not_certified(installed: Path, tmp_path: Path) -> None:
    done = toro(installed, tmp_path, "storage", "check", "example://", "--only", "durability")
    assert done.returncode == 1
    assert "FAILED test_closing_waits_for_commits_and_opening_again_shows_them" in done.stderr
    assert "FAILED test_after_kill_9_every_answered_commit_is_there_and_none_is_half_there" in done.stderr
    assert "an answered commit is lost" in done.stderr
    assert "is not certified: " in done.stdout
    assert done.stdout.startswith("durability       0 passed     3 failed     1 skipped")


_UNFINISHED = """
from contextlib import asynccontextmanager
from toro_core.hookspecs import hookimpl

class Unfinished:
    capabilities = frozenset()

    def __getattr__(self, name):
        async def missing(*args, **options):
            raise NotImplementedError(name)
        return missing

@hookimpl
def toro_storage(scheme):
    @asynccontextmanager
    async def open_unfinished(url):
        yield Unfinished()
    return open_unfinished if scheme == "unfinished" else None
"""


def test_a_storage_that_is_hardly_begun_gets_a_table_in_the_order_in_which_to_go_on(tmp_path: Path) -> None:
    info = tmp_path / "toro_unfinished-1.0.dist-info"
    info.mkdir()
    (tmp_path / "toro_unfinished.py").write_text(_UNFINISHED)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toro_unfinished\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toro.storage]\nunfinished = toro_unfinished\n")
    groups = ("read", "search", "criteria", "state")
    only = [argument for group in groups for argument in ("--only", group)]
    done = toro(tmp_path, tmp_path, "storage", "check", "unfinished://{}", *only)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()][: len(groups)] == list(groups)
    assert "FAILED test_a_record_is_read_as_written: NotImplementedError: get_state" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_group_is_said_with_those_there_are(installed: Path, tmp_path: Path) -> None:
    done = toro(installed, tmp_path, "storage", "check", "example://", "--only", "durable")
    assert done.returncode == 1
    assert "commit, condition" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_storage_does_not_declare_cannot_be_asked_of_it(installed: Path, tmp_path: Path) -> None:
    info = toro(installed, tmp_path, "storage", "info", "example://")
    assert "capabilities  none" in info.stdout
    export = toro(installed, tmp_path, "export", "out", "--storage", "example://")
    assert export.returncode == 1
    assert "does not declare snapshot_scan" in export.stderr
    upgrade = toro(installed, tmp_path, "storage", "upgrade", "example://")
    assert upgrade.returncode == 0
    assert "no schema to upgrade" in upgrade.stdout
