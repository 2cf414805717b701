"""Toro storage in PostgreSQL."""

from toro_postgres.plugin import open_postgres

__all__ = ["open_postgres"]
