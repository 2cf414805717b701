"""What an operator does when one process on one file is not enough: move, change the URL, run two of everything, lose one."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from toro_core.auth.signer import ASSERTION_TYPE
from toro_core.moving import same_state, tally
from toro_core.plugins import open_storage, storage_schemes

FHIR = {"content-type": "application/fhir+json"}
BASE = "http://toro.example"
SETTINGS = {"TORO_UPDATE_CREATE": "true"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def one_process(place: Any) -> Iterator[httpx.Client]:
    serving = place.running("serve", "--port", "0", "--base-url", BASE, "--expose", "full", **SETTINGS)
    with serving as server, client(place, server.http) as partner:
        yield partner


def client(place: Any, http: str) -> httpx.Client:
    token = place.token(http, token_url=f"{BASE}/auth/token")
    return httpx.Client(base_url=f"{http}/fhir", headers={"authorization": f"Bearer {token}", **FHIR}, timeout=30)


def patient(id: str, family: str) -> str:
    return json.dumps({"resourceType": "Patient", "id": id, "name": [{"family": family}]})


def ask_for_token(http: str, assertion: str) -> int:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": "system/*.cruds",
    }
    return httpx.post(f"{http}/auth/token", data=form).status_code


@pytest.mark.parametrize("scheme", ["sqlite", "postgresql"])
def test_from_one_process_on_sqlite_to_two_cores_and_two_facades(
    stocked: Any, new_storage: Callable[[str], str], scheme: str
) -> None:
    moved_to = new_storage(scheme)
    with one_process(stocked) as partner:
        for family in ("First", "Second"):
            assert partner.put("/Patient/mine", content=patient("mine", family)).status_code in (200, 201)
        kept_token = partner.headers["authorization"]
        assert stocked.toro("migrate", stocked.storage, moved_to, "--warm").returncode == 0
        assert partner.put("/Patient/mine", content=patient("mine", "Third")).status_code == 200
    moved = stocked.toro("migrate", stocked.storage, moved_to, "--resume")
    assert moved.returncode == 0, moved.stderr
    assert "1 versions moved" in moved.stderr

    with ExitStack() as running:
        listen = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        options = ("--base-url", BASE, "--expose", "full")
        core_options = ("--base-url", BASE, "--storage", moved_to)
        cores = [
            running.enter_context(stocked.running("core", "--listen", each, *core_options, **SETTINGS))
            for each in listen
        ]
        facades = [
            running.enter_context(stocked.running("facade", "--core", each, "--port", "0", *options, **SETTINGS))
            for each in listen
        ]
        one, two = (running.enter_context(client(stocked, facade.http)) for facade in facades)

        # What was written before the move is there, with its history, and so are clients and their tokens.
        assert two.get("/Patient/mine/_history/1").json()["name"][0]["family"] == "First"
        assert two.get("/Patient/mine", headers={"authorization": kept_token}).headers["etag"] == 'W/"3"'

        # What one answers the other knows at once; of two writers on one version one wins.
        assert one.put("/Patient/new", content=patient("new", "Here")).status_code == 201
        assert two.get("/Patient/new").json()["name"][0]["family"] == "Here"
        with ThreadPoolExecutor() as pool:
            for version in range(1, 6):
                at_once = [
                    pool.submit(
                        each.put,
                        "/Patient/new",
                        content=patient("new", f"Now{version}"),
                        headers={"if-match": f'W/"{version}"'},
                    )
                    for each in (one, two)
                ]
                assert sorted(done.result().status_code for done in at_once) == [200, 412]
        identifier = {"system": "http://example.org", "value": "only-one"}
        body = json.dumps({"resourceType": "Patient", "identifier": [identifier]})
        header = {"if-none-exist": "identifier=http://example.org|only-one"}
        with ThreadPoolExecutor() as pool:
            creates = [pool.submit(each.post, "/Patient", content=body, headers=header) for each in (one, two) * 3]
            assert sorted(done.result().status_code for done in creates) == [200] * 5 + [201]

        # An assertion is spent once, at whichever door.
        assertion = stocked.assertion(f"{BASE}/auth/token")
        assert [ask_for_token(facade.http, assertion) for facade in facades] == [200, 401]

        # One core dies: the other serves on, and nothing that was answered is lost.
        answered = [f"late{n}" for n in range(10) if one.put(f"/Patient/late{n}", content=patient(f"late{n}", "L"))]
        cores[0].kill()
        assert one.get("/Patient/mine").status_code == 503
        assert all(two.get(f"/Patient/{id}").status_code == 200 for id in answered)
        assert two.put("/Patient/mine", content=patient("mine", "Fourth")).status_code == 200
        with stocked.running("core", "--listen", listen[0], *core_options, **SETTINGS):
            deadline = time.monotonic() + 20
            while one.get("/Patient/mine").status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert one.get("/Patient/mine").json()["name"][0]["family"] == "Fourth"


@pytest.mark.slow
async def test_through_every_storage_and_back_it_is_what_it_was(
    stocked: Any, new_storage: Callable[[str], str]
) -> None:
    """From SQLite through PostgreSQL and NDJSON, as far as their plugins are installed, to SQLite."""
    (stocked.folder / "again.ndjson").write_text(patient("twice", "One") + "\n" + patient("twice", "Two") + "\n")
    assert stocked.toro("import", "again.ndjson").returncode == 0
    between = [scheme for scheme in ("postgresql", "ndjson") if scheme in storage_schemes()]
    urls = [stocked.storage, *(new_storage(scheme) for scheme in (*between, "sqlite"))]
    for here, there in itertools.pairwise(urls):
        done = stocked.toro("migrate", here, there)
        assert done.returncode == 0, done.stderr
    async with open_storage(urls[0]) as first, open_storage(urls[-1]) as last:
        ours = await tally(first)
        assert ours["Patient"].versions == ours["Patient"].current + 1
        assert ours == await tally(last)
        assert await same_state(first, last)
