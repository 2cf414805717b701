"""A folder that holds a bulk export: its manifest, and the files that the manifest names.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from toro_core.errors import ToroError
from toro_core.json import loads

__all__ = ["MANIFEST", "Manifest", "deleted_in", "read_manifest"]

MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of an export: of resources, and of Bundles that name deleted ones."""

    output: Sequence[Path]
    deleted: Sequence[Path]


def read_manifest(folder: Path) -> Manifest | None:
    """Read a folder's manifest; None where it has none. Files are found by the last part of their URLs."""
    try:
        told: Any = msgspec.json.decode((folder / MANIFEST).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("output"), list) or "transactionTime" not in told:
        return None
    return Manifest(
        output=list(_files(folder, told["output"])), deleted=list(_files(folder, told.get("deleted") or ()))
    )


def deleted_in(path: Path) -> Iterator[str]:
    """Yield the resources that a file of Bundles names as deleted, each as `Type/id`."""
    with path.open("rb") as lines:
        for line in lines:
            try:
                bundle: Any = loads(line) if line.strip() else {}
            except ToroError:
                continue
            for entry in bundle.get("entry") or ():
                request = entry.get("request") or {}
                if request.get("method") == "DELETE":
                    yield str(request.get("url", ""))


def _files(folder: Path, listed: Sequence[Any]) -> Iterator[Path]:
    for item in listed:
        name = unquote(urlsplit(str(item.get("url", ""))).path).rpartition("/")[2]
        for path in (folder / name, folder / f"{name}.gz"):
            if name and path.is_file():
                yield path
                break
