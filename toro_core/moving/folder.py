"""A folder of NDJSON files that is there whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from toro_core.errors import ToroError
from toro_core.lines import on_one_line
from toro_core.storage import Lines
from toro_core.writeback import WRITE_BACK_BYTES, write_back

if sys.platform != "win32":
    import fcntl

__all__ = ["MANIFEST", "FolderExists", "Output", "OutputFolder", "output_folder"]

MANIFEST: Final = "manifest.json"
_GZIP_LEVEL: Final = 3


class FolderExists(ToroError):
    """The folder exists and is not empty; name a new one."""

    reason = "FOLDER_EXISTS"
    issue = "conflict"


@dataclass(slots=True, kw_only=True)
class Output:
    """One file: its name, how many resources it has, and the SHA-256 of its lines, before compression."""

    name: str
    count: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    sent: int = 0
    """Bytes that the system has been told to bring to the disk,"""
    unsent: int = 0
    """and bytes of lines that have come since."""

    @property
    def hash(self) -> str:
        """Return the hash in hexadecimal."""
        return str(self.digest.hexdigest())


class OutputFolder:
    """Files being written, one a type."""

    def __init__(self, path: Path, *, gzipped: bool) -> None:
        """Write below this path."""
        self._path = path
        self._gzipped = gzipped
        self._files: dict[str, IO[bytes]] = {}
        self.outputs: dict[str, Output] = {}

    def write(self, lines: Lines) -> None:
        """Append resources to their type's file."""
        output = self.outputs.get(lines.type)
        if output is None:
            output = self._begin(lines.type)
        file = self._files[lines.type]
        for text in (on_one_line(lines.json) if lines.resources == 1 else lines.json, b"\n"):
            file.write(text)
            output.digest.update(text)
        output.count += lines.resources
        output.unsent += len(lines.json)
        if output.unsent >= WRITE_BACK_BYTES:
            output.sent, output.unsent = write_back(file.fileno(), output.sent), 0

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest and bring every file to the disk."""
        self.close()
        (self._path / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        for path in (*self._path.iterdir(), self._path):
            _fsync(path)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _begin(self, resource_type: str) -> Output:
        name = f"{resource_type}.ndjson" + (".gz" if self._gzipped else "")
        path = self._path / name
        self._files[resource_type] = _create(path, gzipped=self._gzipped)
        output = self.outputs[resource_type] = Output(name=name)
        return output


@contextmanager
def output_folder(path: Path, *, gzipped: bool) -> Iterator[OutputFolder]:
    """Give a folder beside `path` that takes its place at the end, or is removed where that is not reached.

    Raises FolderExists.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FolderExists(f"{path} exists and is not empty; name a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path.absolute().with_name(f".{path.absolute().name}.partial"), path) as partial:
        folder = OutputFolder(partial, gzipped=gzipped)
        try:
            yield folder
            partial.replace(path)
            _fsync(path.absolute().parent)
        except BaseException:
            with suppress(OSError):  # a full disk refuses what is still to be written, too
                folder.close()
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def _held(partial: Path, path: Path) -> Iterator[Path]:
    """Make a folder, emptied of what an export that was killed has left, and keep other exports away. Raises FolderExists."""
    partial.mkdir(mode=0o700, exist_ok=True)
    with _locked(partial) as held:
        if not held:
            raise FolderExists(f"another export writes {path}; wait for it, or name a new folder")
        for left in partial.iterdir():
            left.unlink()
        yield partial


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder until its end or that of the process; False where somebody else has, or where it was moved meanwhile."""
    if sys.platform == "win32":
        yield True
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks
        try:
            there = os.path.samestat(folder.stat(), os.fstat(opened))
        except FileNotFoundError:
            there = False
        yield there
    finally:
        os.close(opened)


def _create(path: Path, *, gzipped: bool) -> IO[bytes]:
    if not gzipped:
        return path.open("xb")
    return gzip.open(path, "xb", _GZIP_LEVEL)  # type: ignore[return-value] # a GzipFile is read and written as files are


def _fsync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
