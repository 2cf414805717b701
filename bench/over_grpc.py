"""Reads over gRPC from a core that runs alone, against a hello world on the same kind of server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from google.protobuf.wrappers_pb2 import StringValue

from bench.baselines.hello_grpc import PATH
from bench.corpus import Corpus, url
from bench.load import Generator
from bench.load_grpc import GrpcLoad
from bench.over_http import copied
from bench.rounds import Row, Target, compare, take
from bench.servers import baseline, free_port, serving, toro
from toro_core.settings import Settings
from toro_core.v1 import METHODS, GetResourceRequest, connect

__all__ = ["measure_grpc"]

_READ = 500


async def measure_grpc(corpus: Corpus, folder: Path, generator: Generator, *, seconds: float, rounds: int) -> Row:
    """Measure authenticated reads, 16 at once."""
    database = folder / "grpc.db"
    client = await copied(corpus, database)
    port, hello_port = free_port(), free_port()
    address = f"127.0.0.1:{port}"
    core = toro("core", "--storage", url(database), "--listen", address)
    hello = baseline("hello_grpc", str(hello_port))
    async with serving(core, port, folder), serving(hello, hello_port, folder):
        async with connect(address) as channel:
            token = await client.token(channel, Settings().token_url())
        names = corpus.names(_READ)
        read = GrpcLoad(
            port=port,
            path=METHODS["GetResource"].path,
            messages=tuple(GetResourceRequest(name=name).SerializeToString() for name in names),
            metadata=(("authorization", f"Bearer {token}"),),
            seconds=seconds,
        )
        said = StringValue(value="world").SerializeToString()
        samples = {
            "hello": partial(generator.rate, GrpcLoad(port=hello_port, path=PATH, messages=(said,), seconds=seconds)),
            "read": partial(generator.rate, read),
        }
        taken = await take(samples, rounds=rounds)
    target = Target(kind="at least", ratio=0.8)
    return compare("gRPC read, 16 calls at once", "/s", taken["read"], "gRPC hello world", taken["hello"], target)
