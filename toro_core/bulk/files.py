"""Where the files of exports lie: a local folder, one below it for each export."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from toro_core.bulk.errors import FilesUnusable
from toro_core.writeback import WRITE_BACK_BYTES, write_back

__all__ = ["Files", "Folder", "LocalFiles", "Output", "open_files"]


class Folder(NamedTuple):
    """A folder of files, one export's, with the time of its last change in seconds since 1970."""

    name: str
    changed: float


class Output(Protocol):
    """A file being written; it exists, durably, once it is closed."""

    def write(self, data: bytes, /) -> object:
        """Append."""

    def close(self) -> None:
        """Make it durable."""


class Files(Protocol):
    """Keeps files, each named `folder/file`. Every method blocks and is called on a thread."""

    def create(self, name: str) -> Output:
        """Begin a file."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading and seeking. Raises FileNotFoundError."""

    def remove(self, folder: str) -> None:
        """Remove a folder with all its files; one that is not there is no error."""

    def remove_file(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

    def folders(self) -> Sequence[Folder]:
        """Return all folders."""

    def url(self, name: str, seconds: float, media_type: str) -> str:
        """Return an address by which anybody can read the file for a while; "" where there is none."""


def open_files(place: str, *, signed: bool = True) -> Files:
    """Open a local folder, or where the place is a URL a file system of fsspec. Raises FilesUnusable.

    With `signed`, files elsewhere are read from there, by addresses that are signed, where that is possible.
    """
    if "://" in place and not place.startswith("file://"):
        try:
            from toro_core.bulk.remote import RemoteFiles
        except ImportError:
            raise FilesUnusable(f"{place.partition('://')[0]}:// needs fsspec: pip install 'toro-fhir[bulk]'") from None
        return RemoteFiles(place, signed=signed)
    return LocalFiles(Path(place.removeprefix("file://")))


class LocalFiles:
    """A folder that this machine's processes share. What is in it is for the owner's eyes alone."""

    def __init__(self, folder: Path) -> None:
        """Keep files here; the folder is made with the first of them."""
        self._folder = folder

    def create(self, name: str) -> Output:
        """Begin a file."""
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise FilesUnusable(
                f"export_files cannot be written to ({error.strerror}); look at its permissions"
            ) from error
        return _Durable(descriptor, path)

    def open(self, name: str) -> BinaryIO:
        """Open a file; who has opened it can read to its end, even when it is removed."""
        return (self._folder / name).open("rb")

    def remove(self, folder: str) -> None:
        """Remove a folder."""
        shutil.rmtree(self._folder / folder, ignore_errors=True)

    def remove_file(self, name: str) -> None:
        """Remove a file."""
        (self._folder / name).unlink(missing_ok=True)

    def folders(self) -> Sequence[Folder]:
        """Return all folders."""
        if not self._folder.is_dir():
            return []
        return [Folder(path.name, path.stat().st_mtime) for path in self._folder.iterdir() if path.is_dir()]

    def url(self, name: str, seconds: float, media_type: str) -> str:
        """Return "": files are read through the server."""
        return ""


class _Durable:
    """A file that is synchronised with the disk, and its folder too, when it is closed."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._path = path
        self._sent = self._unsent = 0

    def write(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._unsent += len(data)
        if self._unsent >= WRITE_BACK_BYTES:
            self._sent, self._unsent = write_back(self._file.fileno(), self._sent), 0

    def close(self) -> None:
        if self._file.closed:
            return
        os.fsync(self._file.fileno())
        self._file.close()
        if os.name == "posix":
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
