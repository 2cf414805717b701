"""The process that works on exports for a server: started by `toro_core.bulk.supervisor`, ends with its input or when idle."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import Final

import msgspec

from toro_core.allocation import keep_freed_memory
from toro_core.assembly import open_runner
from toro_core.bulk.runner import Runner
from toro_core.bulk.supervisor import NOT_OPENED
from toro_core.errors import ToroError
from toro_core.log import configure
from toro_core.settings import Settings

__all__ = ["main"]

_IDLE: Final = 60.0
"""Seconds without work after which the process ends."""
_POLL: Final = 1.0
_NICE: Final = 10


def main() -> int:
    """Work until there is nothing to do any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server hears it and closes the input
    if hasattr(os, "nice"):
        os.nice(_NICE)
    keep_freed_memory()
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    configure(settings.log_level)
    return asyncio.run(_work(replace(settings, export_poll=_POLL, export_process=False)))


async def _work(settings: Settings) -> int:
    try:
        async with open_runner(settings) as runner, runner.running():
            ended = asyncio.create_task(_ended(runner))
            while not ended.done() and runner.idle < _IDLE:
                await asyncio.wait((ended,), timeout=1)
            ended.cancel()
    except ToroError:
        return NOT_OPENED
    return 0


async def _ended(runner: Runner) -> None:
    """Wait until the server closes the input, as its own end does; what it writes until then says that there is work."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        runner.wake()


if __name__ == "__main__":
    sys.exit(main())
