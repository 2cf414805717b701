"""A core and a facade as two processes answer as one process does."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

BASE = "https://fhir.example.org"
LIMIT = "12MiB"
VOLATILE = {"date", "x-request-id", "content-length", "last-modified"}
SAME = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"_page=[A-Za-z0-9_-]+"), "PAGE"),
    (re.compile(r'W/"[0-9a-f]{32}"'), "TAG"),
    (re.compile(r'"(kid|x|y)":"[A-Za-z0-9_-]+"'), "KEY"),
]
"""What differs between two servers: ids and times they give, sealed page tokens, keys, a tag over a time."""


@contextmanager
def embedded(place: Any) -> Iterator[str]:
    port = str(free_port())
    with place.running("serve", "--port", port, "--base-url", BASE, TORO_MAX_BODY=LIMIT):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def split(place: Any) -> Iterator[str]:
    """Run a core, and before it a facade that has no storage."""
    port = str(free_port())
    ways = ("--port", port, "--base-url", BASE)
    storage = "sqlite:////nowhere/toro.db"
    with (
        place.running("core", "--listen", "127.0.0.1:0", "--base-url", BASE, TORO_MAX_BODY=LIMIT) as core,
        place.running("facade", "--core", core.grpc, *ways, TORO_STORAGE=storage, TORO_MAX_BODY=LIMIT),
    ):
        yield f"http://127.0.0.1:{port}"


def asked() -> list[tuple[str, str, dict[str, Any]]]:
    fhir = {"content-type": "application/fhir+json"}
    sound = json.dumps({"resourceType": "Patient", "id": "mine", "name": [{"family": "Sound"}]})
    broken = json.dumps({"resourceType": "Patient", **{f"x{number}{'y' * 50}": number for number in range(90)}})
    large = json.dumps(
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "note": [{"text": "x" * 900_000}] * 9}
    )
    return [
        ("GET", "/fhir/metadata", {}),
        ("GET", "/fhir/.well-known/smart-configuration", {}),
        ("GET", "/auth/jwks", {}),
        ("GET", "/health/ready", {}),
        ("GET", "/fhir/Patient?_sort=_id", {}),
        ("GET", "/fhir/Patient?_count=1&_sort=_id", {}),
        ("GET", "/fhir/Observation?category=vital-signs&_count=2&_sort=-date", {}),
        ("GET", "/fhir/Observation?date=ge2000&_total=accurate&_count=0", {}),
        ("POST", "/fhir/Patient/_search", {"data": {"gender": "female", "_sort": "_id"}}),
        ("GET", "/fhir/Patient?colour=red", {}),
        ("GET", "/fhir/Patient?colour=red&_sort=_id", {"headers": {"prefer": "handling=lenient"}}),
        ("GET", "/fhir/Patient?birthdate=yesterday", {}),
        ("GET", "/fhir/Patient?_page=nonsense", {}),
        ("GET", "/fhir/Patient/absent", {}),
        ("GET", "/fhir/Patient/absent/_history/1", {}),
        ("GET", "/fhir/Patient/a%20b", {}),
        ("GET", "/fhir/Nonsense/1", {}),
        ("GET", "/fhir/Patient", {"headers": {"authorization": ""}}),
        ("GET", "/fhir/Patient", {"headers": {"authorization": "Bearer a.b.c"}}),
        ("POST", "/fhir/Patient", {"content": sound, "headers": fhir}),
        ("POST", "/fhir/Patient", {"content": sound, "headers": fhir | {"prefer": "return=representation"}}),
        ("POST", "/fhir/Patient", {"content": "{", "headers": fhir}),
        ("POST", "/fhir/Patient", {"content": broken, "headers": fhir}),
        ("POST", "/fhir/Observation", {"content": large, "headers": fhir | {"prefer": "return=representation"}}),
        ("POST", "/fhir/Observation", {"content": "x" * (13 << 20), "headers": fhir}),
        ("PUT", "/fhir/Patient/absent", {"content": sound.replace("mine", "absent"), "headers": fhir}),
        ("PUT", "/fhir/Patient/mine", {"content": sound, "headers": fhir | {"if-match": 'W/"9"'}}),
        ("DELETE", "/fhir/Patient/mine", {}),
        ("GET", "/fhir/Observation?_sort=-_lastUpdated&_count=1", {}),
    ]


def answers(http: str, token: str) -> list[tuple[int, dict[str, str], str]]:
    found = []
    with httpx.Client(base_url=http, headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
        for method, path, more in asked():
            answer = client.request(method, path, **more)
            headers = {name: told(value) for name, value in answer.headers.items() if name not in VOLATILE}
            found.append((answer.status_code, headers, told(answer.text)))
        found += [(200, {}, told(resource)) for resource in every_page(client)]
    return found


def every_page(client: httpx.Client) -> Iterator[str]:
    path = "/fhir/Observation?_count=20&_sort=_id&category=vital-signs"
    while path:
        page = client.get(path).json()
        yield from (json.dumps(entry["resource"]) for entry in page.get("entry", ()))
        links = {link["relation"]: link["url"] for link in page["link"]}
        path = links.get("next", "").removeprefix(BASE)


def told(text: str) -> str:
    for pattern, name in SAME:
        text = pattern.sub(name, text)
    return text


@pytest.fixture
def places(template: Path, tmp_path: Path, stocked: Any) -> tuple[Any, Any]:
    """Return two folders with the same data."""
    other = tmp_path / "other"
    other.mkdir()
    for name in ("toro.db", "client.jwk"):
        shutil.copy2(template / name, other / name)
    return stocked, type(stocked)(other)


def test_two_processes_answer_as_one(places: tuple[Any, Any]) -> None:
    told_by = []
    for place, deployed in zip(places, (embedded, split), strict=True):
        with deployed(place) as http:
            told_by.append(answers(http, place.token(http, token_url=f"{BASE}/auth/token")))
    one, two = told_by
    for request, here, there in zip([*asked(), *[()] * len(one)], one, two, strict=False):
        assert here == there, request[:2]
    assert len(one) == len(two) > len(asked()) + 20
    assert {status for status, _, _ in one} >= {200, 201, 400, 401, 404, 405, 412, 413}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_facade_whose_core_goes_away_says_so_and_finds_it_again(stocked: Any) -> None:
    listen = f"127.0.0.1:{free_port()}"
    first = stocked.running("core", "--listen", listen)
    with first as core, stocked.running("facade", "--core", listen, "--port", "0") as facade:
        headers = {"authorization": f"Bearer {stocked.token(facade.http)}"}

        def ask() -> httpx.Response:
            return httpx.get(f"{facade.http}/fhir/Patient?_count=1", headers=headers)

        assert ask().status_code == 200
        core.kill()
        away = ask()
        assert away.status_code == 503
        assert away.json()["resourceType"] == "OperationOutcome"
        assert httpx.get(f"{facade.http}/health/live").status_code == 200
        assert httpx.get(f"{facade.http}/health/ready").status_code == 503
        with stocked.running("core", "--listen", listen):
            deadline = time.monotonic() + 20
            while ask().status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)


def test_a_facade_that_starts_before_its_core_waits_for_it_and_is_not_ready(stocked: Any) -> None:
    core, port = f"127.0.0.1:{free_port()}", free_port()
    facade = stocked.start("facade", "--core", core, "--port", str(port), "--base-url", BASE)
    with facade, httpx.Client(base_url=f"http://127.0.0.1:{port}") as browser:
        try:
            eventually(lambda: status(browser, "/health/live") == 200)
            refused = browser.get("/health/ready")
            assert (refused.status_code, refused.json()) == (503, {"status": "core unreachable"})
            refused = browser.get("/fhir/metadata")
            assert refused.status_code == 503
            assert refused.json()["issue"][0]["code"] == "transient"
            assert refused.headers["retry-after"].isdigit()
            assert browser.head("/fhir/Patient").content == b""
            with stocked.running("core", "--listen", core, "--base-url", BASE):
                eventually(lambda: status(browser, "/health/ready") == 200)
                assert facade.stdout.readline().startswith("Toro serves FHIR R4")
                assert browser.get("/fhir/metadata").json()["resourceType"] == "CapabilityStatement"
                assert status(browser, "/fhir/Patient") == 401
            eventually(lambda: status(browser, "/health/ready") == 503)
        finally:
            facade.terminate()
            assert facade.wait(15) == 0
    assert stocked.log_of("facade").read_text().count("waiting for it") == 1


def test_a_facade_without_a_core_says_so_and_can_be_stopped(stocked: Any) -> None:
    port = free_port()
    facade = stocked.start("facade", "--core", "127.0.0.1:1", "--port", str(port), "--base-url", BASE)
    with facade, httpx.Client(base_url=f"http://127.0.0.1:{port}") as browser:
        eventually(lambda: status(browser, "/health/live") == 200)
        facade.terminate()
        assert facade.wait(15) == 0
        assert facade.stdout.read() == ""
    said = stocked.log_of("facade").read_text()
    assert "the core does not answer" in said
    assert "exception" not in said


def status(browser: httpx.Client, path: str) -> int:
    try:
        return browser.get(path).status_code
    except httpx.TransportError:
        return 0


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
