"""Reads a folder of FHIR NDJSON that somebody else wrote, as it lies: https://hl7.org/fhir/uv/bulkdata/export.html

A line that is no resource is reported by file and line and left out. What a gzip file holds is laid out in a temporary file.
"""

from __future__ import annotations

import datetime
import errno
import gzip
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from toro_core.errors import Unsupported
from toro_core.storage import Key
from toro_ndjson.folder import Folder
from toro_ndjson.lines import lines
from toro_ndjson.places import File, Place
from toro_ndjson.reports import Reports
from toro_ndjson.versions import Version

__all__ = ["foreign_files", "read_foreign"]

_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{0,63}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_CHUNK: Final = 1 << 20
_LONGEST: Final = 256 << 20
_BOM: Final = b"\xef\xbb\xbf"


class _Meta(msgspec.Struct, frozen=True):
    version: str | None = msgspec.field(default=None, name="versionId")
    updated: str | None = msgspec.field(default=None, name="lastUpdated")


class _Identity(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="resourceType")
    id: str
    meta: _Meta | None = None


class _Found(NamedTuple):
    key: Key
    number: int
    at: int
    place: Place
    line: int


_DECODER: Final = msgspec.json.Decoder(_Identity)


def foreign_files(root: Folder) -> list[str]:
    """Name the files of NDJSON in a folder, plain or compressed."""
    return [name for name in root.names() if name.lower().endswith((".ndjson", ".ndjson.gz")) and name[0] not in "._"]


def read_foreign(root: Folder, reports: Reports, latest: int) -> list[Version]:
    """Return a version of each resource, in the order of their times, of which none is later than `latest` (milliseconds)."""
    found: dict[Key, _Found] = {}
    for name in foreign_files(root):
        for each in _resources(root, name, reports, latest):
            other = found.get(each.key)
            if other is None or (each.at, each.number) >= (other.at, other.number):
                found[each.key], each = each, other or each
            if other is not None:
                reports.say(each.place.file.name, each.line, "is an older version of a resource that is there again")
    ordered = sorted(found.values(), key=lambda each: each.at)
    return [Version(each.key, each.number, seq, 0, each.at, each.place) for seq, each in enumerate(ordered, 1)]


def _resources(root: Folder, name: str, reports: Reports, latest: int) -> Iterator[_Found]:
    try:
        descriptor = root.read(name)
    except (OSError, Unsupported) as error:
        if isinstance(error, OSError) and error.errno not in {errno.ELOOP, errno.EMLINK}:
            reports.say(name, 0, f"cannot be read ({error.strerror}) and is left out; look at its permissions")
        else:
            why = "cannot be read" if isinstance(error, Unsupported) else "is a link, which is not followed"
            reports.say(name, 0, f"{why}; put the file itself into the folder")
        return
    written = min(os.fstat(descriptor).st_mtime_ns // 1_000_000, latest)
    if name.lower().endswith(".gz"):
        descriptor = _unpacked(descriptor, name, reports)
    file = File(descriptor, name, "foreign")
    for line in lines(file, longest=_LONGEST):
        if line.length > _LONGEST:
            reports.say(name, line.number, f"has more than {_LONGEST >> 20} MiB; it is left out")
            continue
        bom = len(_BOM) if line.number == 1 and line.data.startswith(_BOM) else 0
        data = line.data[bom:].rstrip(b"\r")
        if not data.strip():
            continue
        identity = _identity(data)
        if identity is None:
            reports.say(name, line.number, "is no FHIR resource with a type and an id in JSON; it is left out")
            continue
        meta = identity.meta or _Meta()
        number = int(meta.version) if meta.version and _NUMBER.fullmatch(meta.version) else 1
        at = min(_milliseconds(meta.updated) or written, latest)
        place = Place(file, line.offset + bom, len(data), zlib.crc32(data))
        reports.read()
        yield _Found(Key(sys.intern(identity.type), identity.id), number, at, place, line.number)


def _identity(data: bytes) -> _Identity | None:
    try:
        identity = _DECODER.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return identity if _TYPE.fullmatch(identity.type) and _ID.fullmatch(identity.id) else None


def _milliseconds(text: str | None) -> int | None:
    """Parse a FHIR instant, None where it is something else."""
    try:
        moment = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0, round(moment.timestamp() * 1000))


def _unpacked(descriptor: int, name: str, reports: Reports) -> int:
    """Lay out what a gzip file holds, up to where it is damaged."""
    with os.fdopen(descriptor, "rb") as packed, tempfile.TemporaryFile() as plain:
        try:
            with gzip.open(packed) as stream:
                # One reading at a time: what was whole before the damage is there then.
                while chunk := stream.read1(_CHUNK):
                    plain.write(chunk)
        except (OSError, EOFError, zlib.error):
            reports.say(name, 0, "is damaged; what comes after that is left out")
        plain.flush()
        return os.dup(plain.fileno())
