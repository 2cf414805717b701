"""A folder that holds a bulk export: its manifest, and the files that the manifest names.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

__all__ = ["MANIFEST", "Manifest", "read_manifest"]

MANIFEST: Final = "manifest.json"


class _Listed(msgspec.Struct):
    url: str


class _Told(msgspec.Struct):
    transactionTime: str  # noqa: N815 # as the manifest names it
    output: list[_Listed]
    deleted: list[_Listed] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of an export: of resources, and of Bundles that name deleted ones."""

    output: Sequence[Path]
    deleted: Sequence[Path]


def read_manifest(folder: Path) -> Manifest | None:
    """Read a folder's manifest; None where it has none. Files are found by the last part of their URLs.

    One that is not there is among them, so that whoever reads it tells that the export is not whole.
    """
    try:
        told = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Told)
    except (OSError, msgspec.MsgspecError):
        return None
    return Manifest(
        output=[_find(folder, listed) for listed in told.output],
        deleted=[_find(folder, listed) for listed in told.deleted or ()],
    )


def _find(folder: Path, listed: _Listed) -> Path:
    name = unquote(listed.url.partition("#")[0].partition("?")[0]).rpartition("/")[2]
    packed = folder / f"{name}.gz"
    return packed if packed.is_file() and not (folder / name).is_file() else folder / name
