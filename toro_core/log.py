"""The log as JSON lines, from which exceptions' messages are left out: they may quote a resource or a request."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec

__all__ = ["JsonLines", "LineLog", "configure"]

_READY_MADE: Final = frozenset({"toro.access", "toro.core.calls"})
"""Loggers whose messages are lines already."""
_TALKATIVE: Final = ("asyncio", "grpc", "hpack", "httpcore", "httpx", "uvicorn")
"""Libraries whose chatter below warnings may hold what a caller sent."""

_BATCH: Final = 0.1
_ENCODER: Final = msgspec.json.Encoder()


class LineLog:
    """Keeps lines of a ready-made log for a tenth of a second and writes them together: each alone costs as much as a request."""

    def __init__(self, name: str) -> None:
        """Keep no lines yet; they go to the logger of this name."""
        self._logger = logging.getLogger(name)
        self._lines: list[msgspec.Struct] = []

    def add(self, line: msgspec.Struct) -> None:
        """Keep a line, and have it written."""
        if not self._lines:
            asyncio.get_running_loop().call_later(_BATCH, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what is kept, as one record of many lines."""
        lines, self._lines = self._lines, []
        if lines:
            self._logger.info("%s", _ENCODER.encode_lines(lines)[:-1].decode())


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record: its first line, since asyncio tells exceptions on the next ones; of an exception, type and place."""
        message = record.getMessage()
        if record.name in _READY_MADE:
            return message
        message = message.partition("\n")[0]
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": msgspec.Raw(message.encode()) if message.startswith("{") else message,
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["place"] = _place(record)
        return msgspec.json.encode(line).decode()


def configure(level: str) -> None:
    """Send every log to stderr as JSON lines, from this level up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _place(record: logging.LogRecord) -> str:
    traceback = record.exc_info[2] if record.exc_info else None
    if traceback is None:
        return ""
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_globals.get('__name__', '?')}:{traceback.tb_lineno}"
