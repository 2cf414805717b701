"""Transactions and conditions of servers that are killed, left, or not alone."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import Any

import httpx
import pytest

_PARTS = 5


def _transaction(code: str) -> dict[str, Any]:
    tagged = {"resourceType": "Basic", "code": {"text": "c"}, "identifier": [{"system": "urn:t", "value": code}]}
    entry = {"resource": tagged, "request": {"method": "POST", "url": "Basic"}}
    return {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * _PARTS}


def _serve(place: Any, port: int = 0, base: str = "") -> Any:
    more = ("--base-url", base) if base else ()
    return place.running("serve", "--port", str(port), "--expose", "full", *more)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _counts(http: str, token: str, codes: list[str]) -> list[int]:
    with httpx.Client(base_url=http, headers={"authorization": f"Bearer {token}"}) as client:
        searches = (client.get(f"/fhir/Basic?identifier=urn:t|{code}") for code in codes)
        return [search.json()["total"] for search in searches]


@pytest.fixture
def served(place: Any) -> Any:
    place.register("system/*.cruds")
    return place


def test_a_killed_server_leaves_whole_transactions_and_all_it_has_answered(served: Any) -> None:
    answered: list[str] = []
    sent: list[str] = []
    with _serve(served) as server:
        token = served.token(server.http)

        def client(name: int) -> None:
            with httpx.Client(base_url=server.http, headers={"authorization": f"Bearer {token}"}) as http:
                for number in range(10_000):
                    code = f"{name}-{number}"
                    sent.append(code)
                    try:
                        if http.post("/fhir", json=_transaction(code)).status_code == 200:
                            answered.append(code)
                    except httpx.HTTPError:
                        return

        clients = [threading.Thread(target=client, args=(name,)) for name in range(4)]
        for each in clients:
            each.start()
        while len(answered) < 40:
            time.sleep(0.01)
        server.kill()
        for each in clients:
            each.join()
    with _serve(served) as server:
        token = served.token(server.http)
        assert set(_counts(server.http, token, answered)) == {_PARTS}
        assert set(_counts(server.http, token, sent[-50:])) <= {0, _PARTS}


def test_a_client_that_leaves_finds_its_transaction_whole_or_not_at_all(served: Any) -> None:
    with _serve(served) as server:
        token = served.token(server.http)
        head = f"POST /fhir HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nauthorization: Bearer {token}\r\n"
        codes = [f"left-{number}" for number in range(20)]
        for number, code in enumerate(codes):
            body = json.dumps(_transaction(code)).encode()
            request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(request if number % 2 else request[:-10])
        deadline = time.monotonic() + 10
        while sum(_counts(server.http, token, codes[1::2])) < _PARTS * 10 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert set(_counts(server.http, token, codes[1::2])) <= {0, _PARTS}
        assert set(_counts(server.http, token, codes[::2])) == {0}


@pytest.mark.parametrize("identifiers", [10, pytest.param(200, marks=pytest.mark.slow)])
async def test_two_servers_on_one_database_create_once_for_each_identifier(served: Any, identifiers: int) -> None:
    ports = _free_port(), _free_port()
    one, other = (f"http://127.0.0.1:{port}" for port in ports)
    with _serve(served, ports[0], one), _serve(served, ports[1], one):
        headers = {"authorization": f"Bearer {served.token(one)}"}
        async with (
            httpx.AsyncClient(base_url=one, headers=headers, timeout=30) as first,
            httpx.AsyncClient(base_url=other, headers=headers, timeout=30) as second,
        ):

            async def create(http: httpx.AsyncClient, number: int) -> int:
                patient = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": str(number)}]}
                condition = {"if-none-exist": f"identifier=urn:s|{number}"}
                return (await http.post("/fhir/Patient", json=patient, headers=condition)).status_code

            for number in range(identifiers):
                answers = await asyncio.gather(*(create(http, number) for http in (first, second) for _ in range(8)))
                assert answers.count(201) == 1
                assert set(answers) <= {200, 201, 409}
                for http in (first, second):
                    found = (await http.get(f"/fhir/Patient?identifier=urn:s|{number}")).json()
                    assert found["total"] == 1
