"""The load generator: a process of its own that sends ready-made bytes, so that the server is what saturates."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from bench.load_grpc import GrpcLoad, run_grpc
from bench.load_http import HttpLoad, run_http

__all__ = ["Generator", "generator"]


@dataclass(frozen=True, slots=True)
class Generator:
    """Runs loads in its process."""

    pool: ProcessPoolExecutor

    async def rate(self, load: HttpLoad | GrpcLoad) -> float:
        """Run a load and return answers a second. Raises LoadFailed where an answer is not the expected one."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, _run, load)


@contextmanager
def generator() -> Iterator[Generator]:
    """Start the process; stop it at the end."""
    context = multiprocessing.get_context("spawn")  # a fork would carry this process's threads and connections along
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        yield Generator(pool)


def _run(load: HttpLoad | GrpcLoad) -> float:
    return run_http(load) if isinstance(load, HttpLoad) else run_grpc(load)
