"""The import contracts of pyproject.toml catch what they forbid."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return packages of the same names, empty but for the modules the contracts name."""
    contract = ("errors", "hookspecs", "judging", "storage", "search/plan", "search/evaluate")
    core = (*contract, "v1", "local", "log", "settings", "service", "xml/parsing", "_gen/pb2")
    plugins = ("toro_ndjson/plugin", "toro_postgres/plugin", "toro_sqlite/plugin")
    for name in (*(f"toro_core/{module}" for module in core), "toro_facade/app", *plugins):
        path = tmp_path / f"{name}.py"
        for folder in path.relative_to(tmp_path).parents:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            if folder != Path():
                (tmp_path / folder / "__init__.py").touch()
        path.touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    # with the folder on the path the copies are found before the installed packages
    command = [str(LINT_IMPORTS), "--no-cache", "--config", str(folder / "pyproject.toml")]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder)}, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("toro_core/service", "toro_facade.app"),
        ("toro_core/service", "toro_sqlite.plugin"),
        ("toro_core/service", "toro_core._gen.pb2"),
        ("toro_core/storage", "grpc"),
        ("toro_core/search/plan", "starlette.requests"),
        ("toro_sqlite/plugin", "toro_core.service"),
        ("toro_sqlite/plugin", "toro_core.settings"),
        ("toro_sqlite/plugin", "toro_facade.app"),
        ("toro_sqlite/plugin", "grpc"),
        ("toro_ndjson/plugin", "toro_sqlite.plugin"),
        ("toro_core/xml/parsing", "toro_core.storage"),
        ("toro_facade/app", "toro_core.service"),
        ("toro_facade/app", "toro_core.storage"),
        ("toro_facade/app", "toro_sqlite.plugin"),
    ],
)
def test_a_forbidden_import_is_caught(copy: Path, module: str, imported: str) -> None:
    (copy / f"{module}.py").write_text(f"import {imported}\n")
    done = lint(copy)
    assert done.returncode == 1
    assert "1 broken" in done.stdout, done.stdout


def test_what_the_contracts_allow_passes(copy: Path) -> None:
    (copy / "toro_core/v1.py").write_text("import toro_core._gen.pb2\n")
    (copy / "toro_sqlite/plugin.py").write_text("import toro_core.storage, toro_core.errors, toro_core.search.plan\n")
    (copy / "toro_core/service.py").write_text("import grpc, toro_core.v1\n")
    (copy / "toro_facade/app.py").write_text("import toro_core.v1, toro_core.settings, toro_core.local, starlette\n")
    (copy / "toro_core/local.py").write_text("import toro_core.service, toro_core.storage\n")
    done = lint(copy)
    assert done.returncode == 0, done.stdout
