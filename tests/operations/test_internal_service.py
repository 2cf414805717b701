"""An internal service beside `toro core`, with nothing but stubs generated from the protos: docs/grpc.md as it is written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/grpc.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate the stubs as the page says, and return their folder."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "stubs").mkdir()
    (folder / "proto").symlink_to(ROOT / "proto")
    command = blocks("sh")[0].splitlines()[1].replace("python ", f"{shlex.quote(sys.executable)} ", 1)
    subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    return folder


def run(folder: Path, code: str, **environment: str) -> str:
    """Run code that finds the stubs and nothing of toro_core."""
    (folder / "service.py").write_text(code)
    start = "import sys, runpy; sys.path.insert(0, 'stubs'); runpy.run_path('service.py')"
    start += "; assert not any(name.startswith('toro_core') for name in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", start],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_service_gets_a_token_and_creates_reads_and_searches(stocked: Any, stubs: Path) -> None:
    use, exchange = blocks("python")
    with stocked.running("core", "--listen", "127.0.0.1:0") as core:
        assertion = stocked.assertion("http://127.0.0.1:8080/auth/token")
        token = run(stubs, exchange, ADDRESS=core.grpc, ASSERTION=assertion).strip()
        found, created, read, rates, refused = run(stubs, use, ADDRESS=core.grpc, TOKEN=token).splitlines()
    assert re.fullmatch(r'found Patient/\S+ W/"1"', found)
    assert re.fullmatch(r'created Observation/[0-9a-f-]{36} W/"1"', created)
    assert read == "read {'value': 72, 'unit': 'beats/minute'}"
    assert int(rates.removeprefix("heart rates ")) >= 1
    assert refused == "refused NOT_FOUND RESOURCE_NOT_FOUND"
