"""The file that every change goes to first: appended to and fsynced before anyone is answered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from toro_core.errors import StorageBusy
from toro_ndjson.faults import fault
from toro_ndjson.folder import Folder, write_all
from toro_ndjson.places import File

__all__ = ["JOURNAL", "Journal", "sealed_journal"]

JOURNAL: Final = "journal.ndjson"
_BROKEN: Final = "the journal could not be written to its end; look at the folder's disk, then start again"


def sealed_journal(generation: int) -> str:
    """Name the journal of what a compaction puts into the files of a generation."""
    return f"journal-{generation}.ndjson"


class Journal:
    """The open journal. Used by one thread at a time."""

    def __init__(self, folder: Folder, whole: int) -> None:
        """Open it in Toro's own folder, making it where it is missing, and cut off what is torn behind so many bytes."""
        self._folder = folder
        self._broken = False
        self.size = 0
        self._open()
        if self.size > whole:
            os.ftruncate(self.file.descriptor, whole)
            os.fsync(self.file.descriptor)
            self.size = self.durable = whole

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines and return once they are durable. Raises StorageFull, StorageBusy, having written nothing."""
        if self._broken:
            raise StorageBusy(_BROKEN)
        descriptor = self.file.descriptor
        if not os.fstat(descriptor).st_nlink:
            raise StorageBusy(
                "the journal was removed while the folder was served; put the folder back, then start again"
            )
        try:
            self.size += write_all(descriptor, lines)
            os.fsync(descriptor)
        except OSError as error:
            self._take_back(error)
            raise fault(error, "writing the journal") from error
        self.durable = self.size

    def rotate(self, generation: int) -> None:
        """Put what was written aside under a generation's name and begin anew. Raises StorageError."""
        if self._broken:
            raise StorageBusy(_BROKEN)
        try:
            self._folder.rename(JOURNAL, self._folder, sealed_journal(generation))
            self._open()
        except OSError as error:
            self._broken = True
            raise fault(error, "beginning a new journal") from error

    def _open(self) -> None:
        self.file = File(self._folder.append(JOURNAL), f"_toro/{JOURNAL}", "journal")
        self.size = self.durable = os.fstat(self.file.descriptor).st_size
        self._folder.sync()

    def _take_back(self, error: OSError) -> None:
        """Cut off what may be half written. Where that fails too, nobody knows what the file holds until it is read again."""
        try:
            os.ftruncate(self.file.descriptor, self.durable)
            os.fsync(self.file.descriptor)
        except OSError:
            self._broken = True
            raise fault(error, "writing the journal") from error
        self.size = self.durable
