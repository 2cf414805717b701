"""Files of exports at any place that fsspec reaches: https://filesystem-spec.readthedocs.io

Credentials and endpoints come from where the file system's own library looks for them, such as `AWS_*` variables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final, cast

import fsspec

from toro_core.bulk.errors import FilesUnusable
from toro_core.bulk.files import Folder, Output

__all__ = ["RemoteFiles"]

_BLOCK: Final = 8 << 20
_LONGEST: Final = 604_800.0
"""Seconds an address may be signed for, as S3 has it."""
_CHANGED: Final = ("LastModified", "mtime", "last_modified", "updated", "created")


class RemoteFiles:
    """A folder of a file system, as `s3://bucket/exports`."""

    def __init__(self, place: str, *, signed: bool = True) -> None:
        """Keep files there; with `signed`, anybody who is given an address reads them from there. Raises FilesUnusable."""
        try:
            self._system, self._root = fsspec.core.url_to_fs(place, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise FilesUnusable(f"export_files names a place that cannot be reached: {error}") from None
        self._signed = signed

    def create(self, name: str) -> Output:
        """Begin a file, which exists once it is closed."""
        with contextlib.suppress(NotImplementedError):
            self._system.makedirs(self._path(name.partition("/")[0]), exist_ok=True)
        return cast(Output, self._system.open(self._path(name), "wb", block_size=_BLOCK))

    def open(self, name: str) -> BinaryIO:
        """Open a file."""
        return cast(BinaryIO, self._system.open(self._path(name), "rb", block_size=_BLOCK))

    def remove(self, folder: str) -> None:
        """Remove a folder."""
        self._system.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            self._system.rm(self._path(folder), recursive=True)

    def remove_file(self, name: str) -> None:
        """Remove a file."""
        with contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    def folders(self) -> Sequence[Folder]:
        """Return all folders, each with the time of its newest file."""
        self._system.invalidate_cache()
        newest: dict[str, float] = {}
        found: Mapping[str, Mapping[str, Any]] = self._system.find(self._root, detail=True)
        for path, facts in found.items():
            folder, _, file = path.removeprefix(self._root).lstrip("/").partition("/")
            if file:
                newest[folder] = max(newest.get(folder, 0.0), _changed(facts))
        return [Folder(name, changed) for name, changed in newest.items()]

    def url(self, name: str, seconds: float, media_type: str) -> str:
        """Return a signed address; "" where the file system has none."""
        if not self._signed:
            return ""
        protocol = self._system.protocol
        on_s3 = "s3" in (protocol if isinstance(protocol, tuple | list) else (protocol,))
        more = {"ResponseContentType": media_type} if on_s3 else {}
        try:
            return str(self._system.sign(self._path(name), expiration=int(min(seconds, _LONGEST)), **more))
        except NotImplementedError:
            return ""

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def _changed(facts: Mapping[str, Any]) -> float:
    """Return a file's time; what has none counts as old as can be only where it says so."""
    for name in _CHANGED:
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return float("inf")
