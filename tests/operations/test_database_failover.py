"""Two cores and two facades whose PostgreSQL primary dies: partners wait, or are told to come back, and lose nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx
import pytest

BASE = "http://toro.example"
FHIR = {"content-type": "application/fhir+json"}


@dataclass
class Partner:
    """Writes one new patient after another, and remembers what it was told."""

    browser: httpx.Client
    name: str
    stop: Event
    created: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def run(self) -> None:
        n = 0
        while not self.stop.is_set():
            n += 1
            id = f"{self.name}-{n}"
            answer = self.browser.put(f"/Patient/{id}", content=json.dumps({"resourceType": "Patient", "id": id}))
            if answer.status_code == 201:
                self.created.add(id)
            elif answer.status_code == 503:
                self.refused.add(id)
                assert answer.json()["resourceType"] == "OperationOutcome"
                time.sleep(float(answer.headers["retry-after"]) / 4)
            else:
                assert answer.status_code == 504, answer.text
                assert "read before you repeat" in answer.json()["issue"][0]["diagnostics"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
def test_partners_of_two_cores_lose_nothing_when_the_primary_dies(
    stocked: Any, new_servers: Callable[..., Any]
) -> None:
    primary, standby = new_servers(), new_servers()
    primary.initialize()
    primary.start()
    standby.copy(primary)
    standby.start()
    primary.confirm_by_standby()
    url = f"postgresql://toro:s3cret@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
    assert stocked.toro("migrate", stocked.storage, url).returncode == 0
    settings = {"TORO_UPDATE_CREATE": "true"}
    stop = Event()
    with ExitStack() as running:
        listen = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        cores = [
            running.enter_context(
                stocked.running("core", "--listen", each, "--base-url", BASE, "--storage", url, **settings)
            )
            for each in listen
        ]
        ways = ("--port", "0", "--base-url", BASE, "--expose", "full")
        partners: list[Partner] = []
        for each in listen:
            facade = running.enter_context(stocked.running("facade", "--core", each, *ways, **settings))
            token = stocked.token(facade.http, token_url=f"{BASE}/auth/token")
            headers = {"authorization": f"Bearer {token}", **FHIR}
            browser = running.enter_context(httpx.Client(base_url=f"{facade.http}/fhir", headers=headers, timeout=60))
            partners.append(Partner(browser, f"p{len(partners)}", stop))
        with ThreadPoolExecutor() as pool:
            try:
                done = [pool.submit(partner.run) for partner in partners]
                wait_until(lambda: all(len(partner.created) > 20 for partner in partners))
                primary.kill()
                time.sleep(3)
                standby.promote()
                counts = [len(partner.created) for partner in partners]
                wait_until(lambda: all(len(p.created) > n + 20 for p, n in zip(partners, counts, strict=True)))
            finally:
                stop.set()
            for one in done:
                one.result()
        for partner, other in (partners, reversed(partners)):
            assert all(other.browser.get(f"/Patient/{id}").headers["etag"] == 'W/"1"' for id in partner.created)
            assert all(other.browser.get(f"/Patient/{id}").status_code == 404 for id in partner.refused)
    for core in cores:
        assert "s3cret" not in core.log.read_text() + core.printed
        assert "127.0.0.1" not in core.log.read_text()


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
