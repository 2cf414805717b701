"""What a bulk export says was deleted: files of Bundles beside those of resources.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from toro_core.errors import ToroError
from toro_core.importing.job import Report
from toro_core.importing.manifests import read_manifest
from toro_core.importing.sinks import Sink
from toro_core.importing.sources import Refused
from toro_core.json import loads
from toro_core.v1 import CallError

__all__ = ["Deleted", "delete_listed", "deleted_in"]

_REFUSED = "INVALID_ARGUMENT"
"""The code of a call that could not be understood; after others the rest would fail too."""


class Deleted(NamedTuple):
    """A resource, as `Type/id`, and where it is said to be deleted."""

    place: str
    name: str


async def delete_listed(folders: Iterable[Path], sink: Sink, report: Report, *, stop: bool = False) -> None:
    """Delete what the manifests of bulk exports in these folders list as deleted, adding to `report`.

    With `stop` nothing is deleted after the first that is refused.
    """
    for folder in folders:
        manifest = read_manifest(folder) if folder.is_dir() else None
        for path in manifest.deleted if manifest else ():
            for one in deleted_in(path):
                refused = one if isinstance(one, Refused) else await _delete(one, sink, report)
                if refused is not None:
                    report.refused.append(refused)
                    if stop:
                        return


async def _delete(deleted: Deleted, sink: Sink, report: Report) -> Refused | None:
    try:
        report.deleted += await sink.delete(deleted.name)
    except CallError as error:
        if error.code != _REFUSED:
            raise
        return Refused(place=deleted.place, why=error.issues[0].diagnostics if error.issues else error.reason)
    except ToroError as error:
        if error.reason not in {"INVALID_ARGUMENT", "UNSUPPORTED_TYPE"}:
            raise
        return Refused(place=deleted.place, why=str(error))
    return None


def deleted_in(path: Path) -> Iterator[Deleted | Refused]:
    """Yield the resources that a file of Bundles names as deleted, each as `Type/id`."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield from _named(f"{path}:{number}", line)
    except (OSError, EOFError, zlib.error) as error:
        yield Refused(place=str(path), why=f"the file cannot be read: {error}")


def _named(place: str, line: bytes) -> Iterator[Deleted | Refused]:
    try:
        entries: Any = loads(line).get("entry") or ()
    except ToroError as error:
        yield Refused(place=place, why=str(error))
        return
    if not isinstance(entries, list | tuple):
        yield Refused(place=place, why="Bundle.entry is not a list")
        return
    for entry in entries:
        request = entry.get("request") if isinstance(entry, dict) else None
        if isinstance(request, dict) and request.get("method") == "DELETE":
            url = str(request.get("url", ""))
            yield Deleted(place, "/".join(url.split("/")[-2:]) if "://" in url else url)
