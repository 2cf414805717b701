"""Toro storage in a folder of NDJSON files."""

from toro_ndjson.storage import open_ndjson

__all__ = ["open_ndjson"]
