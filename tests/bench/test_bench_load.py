from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from bench.baselines.hello_grpc import PATH
from bench.load_grpc import GrpcLoad, run_grpc
from bench.load_http import HttpLoad, request_bytes, run_http
from bench.servers import ServerFailed, baseline, free_port, serving
from bench.tally import LoadFailed

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    open_connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await answer(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*open_connections)


def load(port: int, *, status: int = 200) -> HttpLoad:
    request = request_bytes("GET", "/", {})
    return HttpLoad(port=port, requests=(request,), status=status, connections=3, seconds=0.1)


async def test_answers_that_arrive_in_pieces_are_counted_once() -> None:
    sent = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for piece in (b"HTTP/1.1 200 OK\r\nCont", b"ent-Length: 6\r\n", b"\r\nab", b"cd", b"ef"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        sent += 1

    async with answering(answer) as port:
        started = time.perf_counter()
        rate = await asyncio.to_thread(run_http, load(port))
        at_most = rate * (time.perf_counter() - started)
    # The load ran for about 0.1 s of that; up to three answers were under way when it ended.
    assert rate * 0.08 <= sent
    assert at_most >= sent - 3


async def test_a_load_lasts_until_its_first_answer() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with answering(answer) as port:
        assert 0 < await asyncio.to_thread(run_http, load(port)) < 1 / 0.3


async def test_another_status_fails_the_load() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    async with answering(answer) as port:
        with pytest.raises(LoadFailed, match="404"):
            await asyncio.to_thread(run_http, load(port))


async def test_a_closed_connection_fails_the_load() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with answering(answer) as port:
        with pytest.raises(LoadFailed, match="closed"):
            await asyncio.to_thread(run_http, load(port))


async def test_grpc_calls_are_answered_and_refused_ones_fail_the_load(tmp_path: Path) -> None:
    port = free_port()
    message = StringValue(value="x").SerializeToString()
    # Beyond 127 bytes the length of a header takes several, and beyond one call headers are sent as indices.
    metadata = (("authorization", "Bearer " + "x" * 700),)
    async with serving(baseline("hello_grpc", str(port)), port, tmp_path):
        said = GrpcLoad(port=port, path=PATH, messages=(message,), metadata=metadata, calls=4, seconds=0.2)
        assert await asyncio.to_thread(run_grpc, said) > 10
        missing = GrpcLoad(port=port, path="/bench.Hello/Nothing", messages=(message,), seconds=0.2)
        with pytest.raises(LoadFailed, match="refused"):
            await asyncio.to_thread(run_grpc, missing)


async def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(ServerFailed, match="No module named"):
        async with serving(baseline("nothing", str(port)), port, tmp_path):
            pass
