"""Says what is wrong with lines and how far reading has come. A resource's values are never named."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Reports"]

_LOG: Final = logging.getLogger("toro.storage")
_SHOWN: Final = 20
_PAUSE: Final = 2.0


class Reports:
    """Counts lines while a folder is read; the first damaged ones are named one by one."""

    def __init__(self, folder: str) -> None:
        """Begin with a folder, named as the operator did."""
        self._folder = folder
        self._bad = 0
        self._read = 0
        self._next = time.monotonic() + _PAUSE

    def say(self, file: str, line: int | Callable[[], int], what: str) -> None:
        """Tell of a line, which is only counted out where it is told, or of a whole file where the line is 0."""
        self._bad += 1
        if self._bad <= _SHOWN:
            line = line if isinstance(line, int) else line()
            place = f"line {line} of {file}" if line else file
            _LOG.warning("%s in %s %s", place, self._folder, what)

    def tell(self, what: str) -> None:
        """Say how things go."""
        _LOG.info("%s: %s", self._folder, what)

    def read(self) -> None:
        """Count a resource."""
        self._read += 1
        if self._read % 1000 == 0 and time.monotonic() > self._next:
            _LOG.info("reading %s: %d resources so far", self._folder, self._read)
            self._next = time.monotonic() + _PAUSE

    def end(self) -> None:
        """Sum up."""
        if self._bad > _SHOWN:
            _LOG.warning("%d more lines of %s are left out or older", self._bad - _SHOWN, self._folder)
        if self._read:
            _LOG.info("read %s: %d resources", self._folder, self._read)
