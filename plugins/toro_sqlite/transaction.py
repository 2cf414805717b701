"""What work in the writer's thread is given."""

from __future__ import annotations

import sqlite3
import time

from toro_core.storage import Watermark
from toro_sqlite.new_names import NewNames

__all__ = ["Transaction", "now"]


def now() -> int:
    """Return milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Transaction:
    """One BEGIN IMMEDIATE … COMMIT, shared by the commits of a group."""

    def __init__(self, connection: sqlite3.Connection, names: NewNames) -> None:
        """Read the clock of the transaction just begun."""
        self.connection = connection
        self.names = names
        self.seq: int
        self.at: int
        self.seq, self.at = connection.execute("SELECT seq, at FROM clock").fetchone()
        names.begin()

    def tick(self) -> tuple[int, int]:
        """Return the next commit's sequence and time; neither ever goes back."""
        self.seq += 1
        self.at = max(self.at, now())
        return self.seq, self.at

    def reach(self, seq: int, at: int) -> None:
        """Have the clock say at least this; what comes next is later."""
        self.seq, self.at = max(self.seq, seq), max(self.at, at)

    def seal(self) -> Watermark:
        """Return where the commits have come to; those that follow get a later time."""
        sealed = max(self.at, now())
        self.at = sealed + 1
        return Watermark(seq=self.seq, at=sealed)

    def finish(self) -> None:
        """Keep the clock; COMMIT follows."""
        self.connection.execute("UPDATE clock SET seq = ?, at = ?", (self.seq, self.at))
