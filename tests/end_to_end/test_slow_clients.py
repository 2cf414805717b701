"""Clients that keep a connection busy without sending: they are told so and cut off."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox


@contextmanager
def connected(server: Sandbox) -> Iterator[socket.socket]:
    url = urlsplit(server.base_url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """Read until the server hangs up."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /fhir/metadata HTTP/1.1\r\n",
        b"GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /fhir/Observation HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n",
    ],
)
def test_headers_that_do_not_end_are_cut_off(neighbour: Sandbox, start: bytes) -> None:
    with connected(neighbour) as connection:
        connection.sendall(start)
        began = time.monotonic()
        received = rest(connection)
        assert 0.5 < time.monotonic() - began < 6
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b'"resourceType":"OperationOutcome"' in received


def test_headers_that_trickle_are_cut_off(neighbour: Sandbox) -> None:
    with connected(neighbour) as connection:
        connection.sendall(b"GET /fhir/metadata HTTP/1.1\r\n")
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 8:
                connection.sendall(b"X-Slow: 1\r\n")
                time.sleep(0.2)
        assert 0.5 < time.monotonic() - began < 6


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_end_is_cut_off(neighbour: Sandbox, framing: bytes) -> None:
    bearer = neighbour.token("system/*.cruds").encode()
    with connected(neighbour) as connection:
        head = b"POST /fhir/Observation HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + bearer + b"\r\n"
        connection.sendall(head + framing + b"\r\n\r\n" + (b"2\r\n{ \r\n" if b"chunked" in framing else b"{ "))
        began = time.monotonic()
        received = rest(connection)
        assert 0.5 < time.monotonic() - began < 6
        assert received.startswith(b"HTTP/1.1 408 ")


def test_many_idle_connections_keep_nobody_waiting(neighbour: Sandbox) -> None:
    url = urlsplit(neighbour.base_url)
    idle = [socket.create_connection((url.hostname, url.port)) for _ in range(100)]
    try:
        began = time.monotonic()
        assert httpx.get(f"{neighbour.base_url}/metadata").status_code == 200
        assert time.monotonic() - began < 2
    finally:
        for connection in idle:
            connection.close()


def test_a_limit_set_by_the_operator_is_kept_and_said(neighbour: Sandbox) -> None:
    writer = neighbour.partner("system/*.cruds")
    large = b'{"resourceType":"Observation","status":"final","code":{"text":"' + b"x" * (1 << 20) + b'"}}'
    answer = writer.post("Observation", content=large)
    assert answer.status_code == 413
    assert "1048576" in answer.json()["issue"][0]["diagnostics"]
