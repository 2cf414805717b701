"""Servers to measure, each a process of its own on a free port, always stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

__all__ = ["ServerFailed", "baseline", "free_port", "serving", "toro"]

_ROOT = Path(__file__).parent.parent
_PATIENCE = 30.0
_POLL = 0.05


class ServerFailed(Exception):
    """A server does not run."""


def free_port() -> int:
    """Find a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def toro(*arguments: str) -> list[str]:
    """Write the command line of `toro`, run by this interpreter."""
    return [sys.executable, "-c", "import sys; from toro_core.commands.main import main; sys.exit(main())", *arguments]


def baseline(name: str, *arguments: str) -> list[str]:
    """Write the command line of a baseline."""
    return [sys.executable, "-m", f"bench.baselines.{name}", *arguments]


@asynccontextmanager
async def serving(command: Sequence[str], port: int, folder: Path) -> AsyncIterator[int]:
    """Start a server, wait until it listens, give the port; stop it at the end. Raises ServerFailed."""
    log = folder / f"server-{port}.log"
    # Settings of the caller's own environment have no part in a measurement.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORO_")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, cwd=_ROOT, env=environment
        )
    try:
        await _listening(process, port, log)
        yield port
    finally:
        await _stop(process)


async def _listening(process: Process, port: int, log: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    while loop.time() < deadline:
        if process.returncode is not None:
            raise ServerFailed(f"a server ended with {process.returncode}: {_end(log)}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_POLL)
            continue
        # Where nobody listens, a connection may by chance get this very port for its own end and meet itself.
        met_itself = writer.get_extra_info("sockname") == writer.get_extra_info("peername")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        if not met_itself:
            return
    raise ServerFailed(f"a server did not listen within {_PATIENCE:.0f} s: {_end(log)}")


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 15)
    except TimeoutError:
        process.kill()
        await process.wait()


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
