"""A folder held by its descriptor: what is opened in it is a plain file lying there, never what a link leads to."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from toro_core.errors import Unsupported

__all__ = ["Folder", "write_all"]

_SAFE: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class Folder:
    """Files by their names in one folder."""

    def __init__(self, descriptor: int) -> None:
        """Take a folder's descriptor over."""
        self._descriptor = descriptor

    @classmethod
    def at(cls, path: Path, *, make: bool) -> Folder:
        """Open a folder that an operator names, making it and those above it (0700) where they are missing."""
        if make:
            for missing in [each for each in (*reversed(path.parents), path) if not each.exists()]:
                missing.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def within(self, name: str, *, make: bool = False) -> Folder:
        """Open a folder in this one. Raises OSError for a link, FileNotFoundError."""
        self._check(name)
        if make:
            try:
                os.mkdir(name, _FOLDER_MODE, dir_fd=self._descriptor)
                self.sync()
            except FileExistsError:
                pass
        return Folder(os.open(name, os.O_RDONLY | os.O_DIRECTORY | _SAFE, dir_fd=self._descriptor))

    def device(self) -> int:
        """Say which file system it lies on; files move only within one."""
        return os.fstat(self._descriptor).st_dev

    def names(self) -> list[str]:
        """Name what lies here, in order."""
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - a descriptor has no path

    def size(self, name: str) -> int | None:
        """Return a plain file's size, None where there is none of this name."""
        self._check(name)
        try:
            found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def read(self, name: str) -> int:
        """Open a plain file for reading and return its descriptor. Raises OSError for a link, Unsupported for a device."""
        # Without O_NONBLOCK a named pipe would wait for its other end.
        return self._plain(name, os.O_RDONLY | os.O_NONBLOCK)

    def content(self, name: str) -> bytes | None:
        """Return what a small file holds, None where there is none."""
        try:
            descriptor = self.read(name)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
            return file.read()

    def append(self, name: str) -> int:
        """Open a plain file for reading and appending, making it where it is missing, and return its descriptor."""
        return self._plain(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def create(self, name: str) -> int:
        """Make an empty file for writing in place of any of this name, and return its descriptor."""
        self.remove(name)
        return self._plain(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def put(self, name: str, content: bytes) -> None:
        """Let a name hold this content, atomically and durably."""
        draft = f"{name}.new"
        descriptor = self.create(draft)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.rename(draft, self, name)
        self.sync()

    def rename(self, name: str, other: Folder, other_name: str) -> None:
        """Move a file into another folder, in place of any of that name there."""
        self._check(name)
        other._check(other_name)
        os.rename(name, other_name, src_dir_fd=self._descriptor, dst_dir_fd=other._descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._check(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove a folder of files, if it is there."""
        try:
            inner = self.within(name)
        except FileNotFoundError:
            return
        try:
            for each in inner.names():
                inner.remove(each)
        finally:
            inner.close()
        os.rmdir(name, dir_fd=self._descriptor)

    def sync(self) -> None:
        """Make what was made, renamed and removed here durable."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _plain(self, name: str, flags: int) -> int:
        self._check(name)
        descriptor = os.open(name, flags | _SAFE, _FILE_MODE, dir_fd=self._descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Unsupported(f"{name} is not a plain file")
        return descriptor

    @staticmethod
    def _check(name: str) -> None:
        if not name or "/" in name or "\0" in name or name in {".", ".."}:
            raise Unsupported("a file's name leads out of the storage's folder")


def write_all(descriptor: int, *parts: bytes | Iterable[bytes]) -> int:
    """Write every byte and return how many those were."""
    total = 0
    for part in parts:
        view = memoryview(part if isinstance(part, bytes) else b"".join(part))
        total += len(view)
        while view:
            view = view[os.write(descriptor, view) :]
    return total
