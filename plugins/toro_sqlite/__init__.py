"""Toro storage in one SQLite file."""

from toro_sqlite.storage import open_sqlite

__all__ = ["open_sqlite"]
