"""docs/grpc.md runs as it is written: stubs generated from the protos, a token from `toro token`, the snippet."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parent.parent.parent
TORO = Path(sys.executable).with_name("toro")
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("TORO_")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/grpc.md").read_text("utf-8"), re.DOTALL)


def toro(folder: Path, *arguments: str) -> str:
    command = [str(TORO), *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRON, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def key(tmp_path: Path) -> ec.EllipticCurvePrivateKey:
    """Return a client's key, also in `client.pem`, its public half in `public.pem`."""
    made = ec.generate_private_key(ec.SECP384R1())
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "client.pem").write_bytes(private)
    (tmp_path / "public.pem").write_bytes(public)
    return made


@pytest.fixture
def server(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> Iterator[tuple[str, str]]:
    """Serve one patient over HTTP and gRPC; give the gRPC address and an access token."""
    patient = {"resourceType": "Patient", "id": "1", "name": [{"family": "Example"}], "gender": "unknown"}
    (tmp_path / "patient.json").write_text(json.dumps(patient))
    scope = "system/Patient.rs system/Observation.crs"
    client = ("client", "add", "Service", "--jwks", "public.pem", "--scope", scope, "--id", "service")
    http, grpc = free_port(), free_port()
    base = f"http://127.0.0.1:{http}"
    toro(tmp_path, *client, "--base-url", base)
    toro(tmp_path, "import", "patient.json", "--storage", "sqlite:///toro.db")
    command = [str(TORO), "serve", "--port", str(http), "--base-url", base, "--grpc", f"127.0.0.1:{grpc}"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRON, stdout=subprocess.DEVNULL) as process:
        try:
            ready(f"{base}/health/ready", process)
            asked = ("--key", "client.pem", "--client-id", "service", "--token-url", f"{base}/auth/token")
            yield f"127.0.0.1:{grpc}", toro(tmp_path, "token", *asked, "--scope", scope).strip()
        finally:
            process.terminate()
    assert process.returncode == 0


def ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the server did not get ready")


def test_a_service_with_only_the_generated_stubs_creates_reads_and_searches(
    server: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "stubs").mkdir()
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    generate = blocks("sh")[0].splitlines()[1].replace("python ", f"{sys.executable} ", 1)
    subprocess.run(["sh", "-c", generate], cwd=tmp_path, check=True)
    (tmp_path / "service.py").write_text(blocks("python")[0])
    address, token = server
    # -I and a path of our own: the stubs come from the folder, nothing of toro_core is imported
    run = "import sys, runpy; sys.path.insert(0, 'stubs'); runpy.run_path('service.py')"
    run += "; assert not any(name.startswith('toro_core') for name in sys.modules)"
    environ = {"ADDRESS": address, "TOKEN": token}
    command = [sys.executable, "-I", "-c", run]
    done = subprocess.run(command, cwd=tmp_path, env=environ, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found, created, read, rates, refused = done.stdout.splitlines()
    assert found == 'found Patient/1 W/"1"'
    assert re.fullmatch(r'created Observation/[0-9a-f-]{36} W/"1"', created)
    assert read == "read {'value': 72, 'unit': 'beats/minute'}"
    assert rates == "heart rates 1"
    assert refused == "refused NOT_FOUND RESOURCE_NOT_FOUND"
