"""Keeps a process at work on exports while there are any, so that requests do not wait for them.

Reading and writing at full speed in the server's own process makes the slowest of a hundred reads several times slower: see
docs/adr/0023-exports-in-a-process-of-their-own.md.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from toro_core.bulk.jobs import Jobs
from toro_core.bulk.runner import Runner
from toro_core.errors import StorageBusy

__all__ = ["NOT_OPENED", "Supervisor"]

_LOG: Final = logging.getLogger("toro.bulk")
NOT_OPENED: Final = 3
"""The exit code of a process that could not open the storage."""
_PATIENCE: Final = 10.0
_SWEEP: Final = 60.0


class Supervisor:
    """Starts the process when there is an export, and works in this one where the storage lets no second process in."""

    def __init__(self, jobs: Jobs, runner: Runner, settings: bytes, poll: float) -> None:
        """Give the process these settings; look for work of others every `poll` seconds."""
        self._jobs = jobs
        self._runner = runner
        self._settings = settings
        self._poll = poll
        self._wake = asyncio.Event()
        self._process: Process | None = None
        self._alone = False

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()
        self._runner.wake()
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(b"\n")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work in the background; at the end the process gives up what is under way, for others to go on with."""
        async with AsyncExitStack() as stack:
            task = asyncio.create_task(self._run(stack))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await self._stop()

    async def _run(self, stack: AsyncExitStack) -> None:
        swept = 0.0
        while not self._alone:
            self._wake.clear()
            with suppress(StorageBusy):
                if self._process is None and any(job.state == "running" for job in await self._jobs.all()):
                    await self._start()
                if time.monotonic() - swept > _SWEEP:
                    swept = time.monotonic()
                    await self._runner.sweep()
            waiting: list[asyncio.Task[object]] = [asyncio.create_task(self._wake.wait())]
            if self._process is not None:
                waiting.append(asyncio.create_task(self._process.wait()))
            try:
                await asyncio.wait(waiting, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
            await self._look_after()
        _LOG.info("the storage is open to one process alone: exports are worked on in the server's")
        await stack.enter_async_context(self._runner.running())

    async def _start(self) -> None:
        command = (sys.executable, "-P", "-m", "toro_core.bulk.process")
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE)
        assert self._process.stdin is not None, "it was asked for"  # noqa: S101
        self._process.stdin.write(self._settings + b"\n")

    async def _look_after(self) -> None:
        if self._process is None or self._process.returncode is None:
            return
        code, self._process = self._process.returncode, None
        if code == NOT_OPENED:
            self._alone = True
        elif code != 0:
            _LOG.error("the process that worked on exports ended with %d; another is started", code)
            await asyncio.sleep(1)

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        process.stdin.close()  # it ends with its input
        try:
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
