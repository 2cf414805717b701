"""Baseline: totals counted by hand in SQL, over the posting lists that a search would read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

__all__ = ["Counted", "Token"]

Token = tuple[str, str, str]
"""A search parameter's rows, a system, a code."""

_ONE = "SELECT count(*) FROM token WHERE param = ? AND code = ? AND system = ?"
_BOTH = (
    "SELECT count(*) FROM token a CROSS JOIN token b ON b.param = ? AND b.code = ? AND b.system = ?"
    " AND b.sort = a.sort AND b.rid = a.rid WHERE a.param = ? AND a.code = ? AND a.system = ?"
)


class Counted:
    """Counts Observations."""

    def __init__(self, database: Path) -> None:
        """Read a database of Toro's."""
        self._connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        self._connection.execute("PRAGMA cache_size = -32000")

    def one(self, token: Token) -> int:
        """Count what has a token."""
        count: int = self._connection.execute(_ONE, self._numbers(token)).fetchone()[0]
        return count

    def both(self, fewer: Token, more: Token) -> int:
        """Count what has both tokens, reading the first one's list."""
        numbers = (*self._numbers(more), *self._numbers(fewer))
        count: int = self._connection.execute(_BOTH, numbers).fetchone()[0]
        return count

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _numbers(self, token: Token) -> tuple[int, str, int]:
        param, system, code = token
        (pid,) = self._connection.execute(
            "SELECT pid FROM param JOIN type USING (tid) WHERE type.name = 'Observation' AND param.code = ?", (param,)
        ).fetchone()
        (uid,) = self._connection.execute("SELECT uid FROM value WHERE text = ?", (system,)).fetchone()
        return pid, code, uid
