"""What authentication tells the operator: one JSON line an event, on the logger `toro.auth`, without tokens and without PHI."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

__all__ = ["record"]

_LOG: Final = logging.getLogger("toro.auth")


def record(level: int, event: str, **fields: str | int | None) -> None:
    """Write one line; fields without a value are left out."""
    if _LOG.isEnabledFor(level):
        line = {"event": event, **{name: value for name, value in fields.items() if value is not None}}
        _LOG.log(level, "%s", msgspec.json.encode(line).decode())
