"""The rows of a run, as a table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from typing import Any

from bench.rounds import Row

__all__ = ["as_json", "as_table"]

_HEADINGS = ("measure", "value", "baseline", "ratio", "target", "ok")
_SIGNS = {"at least": "≥", "at most": "≤"}


def as_table(rows: Sequence[Row]) -> str:
    """Render a Markdown table."""
    lines = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    rendered = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rendered.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rendered)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.measure,
        f"{_number(row.value)} {row.unit}".strip(),
        f"{_number(row.baseline)} ({row.against})" if row.baseline is not None else "",
        _number(row.ratio) if row.ratio is not None else "",
        f"{_SIGNS[row.target.kind]} {row.target.ratio:g}" if row.target else "",
        "" if row.ok is None else "yes" if row.ok else "NO",
    )


def _number(value: float) -> str:
    """Show three digits that matter, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def as_json(rows: Sequence[Row], *, full: bool, resources: int) -> str:
    """Write rows with their samples, and what they were measured on."""
    found: dict[str, Any] = {
        "full": full,
        "resources": resources,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "rows": [{**dataclasses.asdict(row), "ok": row.ok} for row in rows],
    }
    return json.dumps(found, indent=1) + "\n"
