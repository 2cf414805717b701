"""Counts a load's answers until its time is up."""

from __future__ import annotations

import asyncio
import time

__all__ = ["LoadFailed", "Tally"]

_PATIENCE = 30.0


class LoadFailed(Exception):
    """A server did not answer as it should, so its speed means nothing."""


class Tally:
    """Answers so far. Its time ends with the first answer at the earliest, so that a busy machine still gives a rate."""

    def __init__(self, seconds: float) -> None:
        """Count for so long once `rate` is awaited."""
        self.answers = 0
        self._seconds = seconds
        self._due = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def over(self) -> bool:
        """Say whether nothing counts any more."""
        return self._done.done()

    def count(self) -> None:
        """Count an answer."""
        self.answers += 1
        if self._due:
            self._end()

    def fail(self, why: str) -> None:
        """Give up."""
        if not self.over:
            self._done.set_exception(LoadFailed(why))

    async def rate(self) -> float:
        """Wait until the time is up and return answers a second. Raises LoadFailed."""
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        timers = (
            loop.call_later(self._seconds, self._time_is_up),
            loop.call_later(self._seconds + _PATIENCE, self.fail, f"no answer within {_PATIENCE:.0f} s"),
        )
        try:
            await self._done
        finally:
            for timer in timers:
                timer.cancel()
        return self.answers / (time.perf_counter() - started)

    def _time_is_up(self) -> None:
        self._due = True
        if self.answers:
            self._end()

    def _end(self) -> None:
        if not self.over:
            self._done.set_result(None)
