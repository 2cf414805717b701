"""Logs as JSON lines, from which an exception's message is left out: it may quote what a client sent."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

import msgspec

__all__ = ["JsonLines", "configure"]

_READY_MADE: Final = frozenset({"toro.access", "toro.core.calls"})
"""Loggers whose messages are JSON already."""
_TALKATIVE: Final = ("asyncio", "grpc", "hpack", "httpcore", "httpx", "uvicorn")
"""Libraries whose chatter below warnings may hold what a client sent."""


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record: its first line, since asyncio tells exceptions on the next ones; of an exception, type and place."""
        message = record.getMessage()
        if record.name in _READY_MADE:
            return message
        message = message.partition("\n")[0]
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
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
