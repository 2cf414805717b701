"""Processes that make parts of files ready to be written. They open no storage.

See docs/adr/0029-imports-read-in-processes-of-their-own.md.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import msgspec

from toro_core.importing.frames import HEAD, Terms, frame, size_of
from toro_core.importing.preparing import Prepared, Preparer
from toro_core.importing.reading import prepare_part
from toro_core.importing.sources import Part

__all__ = ["Workers", "open_workers"]

_BUFFER: Final = 4_000_000
_BROKEN: Final = (OSError, asyncio.IncompleteReadError)


@asynccontextmanager
async def open_workers(
    count: int, terms: Terms, preparer: Preparer, tell: Callable[[str], None]
) -> AsyncIterator[Workers]:
    """Start so many processes, which end with this block, however it ends.

    What they cannot do `preparer` does here, in the same way; `tell` is told why.
    """
    async with AsyncExitStack() as stack:
        workers = Workers(preparer, tell, stop=terms.stop)
        for _ in range(count):
            workers.add(await stack.enter_async_context(_started(terms)))
        yield workers


class Workers:
    """Some processes, of which each is given a part as soon as it is idle."""

    def __init__(self, preparer: Preparer, tell: Callable[[str], None], *, stop: bool) -> None:
        """Begin with none."""
        self._preparer = preparer
        self._tell = tell
        self._stop = stop
        self._idle: asyncio.Queue[Process | None] = asyncio.Queue()
        self._answers = msgspec.msgpack.Decoder(list[Prepared])
        self.processes: Final[list[Process]] = []

    def add(self, process: Process) -> None:
        """Take a process that has been told its terms."""
        self.processes.append(process)
        self._idle.put_nowait(process)

    async def prepare(self, part: Part) -> list[Prepared]:
        """Make a part ready. Raises what the preparer raises."""
        process = await self._idle.get()
        if process is None:  # all have died
            self._idle.put_nowait(None)
            return self._here(part)
        try:
            answer = await _ask(process, part)
        except _BROKEN:
            self._bury(process)
            return self._here(part)
        self._idle.put_nowait(process)
        # An empty one stands for an error, which is met here again.
        return self._answers.decode(answer) if answer else self._here(part)

    def _here(self, part: Part) -> list[Prepared]:
        return prepare_part(part, self._preparer, stop=self._stop)

    def _bury(self, process: Process) -> None:
        alive = sum(one.returncode is None for one in self.processes)
        rest = f"{alive} others go on with it" if alive else "this one goes on with it"
        self._tell(f"a process of the import has ended ({process.returncode}); {rest}")
        if not alive:
            self._idle.put_nowait(None)


@asynccontextmanager
async def _started(terms: Terms) -> AsyncIterator[Process]:
    command = (sys.executable, "-P", "-m", "toro_core.importing.process")  # not what lies in the folder of the data
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_BUFFER)
    try:
        with suppress(*_BROKEN):
            await _send(process, msgspec.msgpack.encode(terms))
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()  # what it is doing nobody waits for
        await process.wait()


async def _ask(process: Process, part: Part) -> bytes:
    assert process.stdout is not None, "it was asked for"  # noqa: S101
    try:
        await _send(process, msgspec.msgpack.encode(part))
        return await process.stdout.readexactly(size_of(await process.stdout.readexactly(HEAD)))
    except _BROKEN:
        await process.wait()
        raise


async def _send(process: Process, data: bytes) -> None:
    assert process.stdin is not None, "it was asked for"  # noqa: S101
    process.stdin.writelines(frame(data))
    await process.stdin.drain()
