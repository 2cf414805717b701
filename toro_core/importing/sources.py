"""FHIR files to resources: NDJSON, Bundles and single resources, each plain or gzipped, and folders of them.

XML is read where it is named: in folders it often says again what JSON says beside it.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NamedTuple

from toro_core.errors import ToroError
from toro_core.importing.bundles import unbundle
from toro_core.importing.manifests import read_manifest
from toro_core.json import JsonObject, loads
from toro_core.xml import InvalidXml, open_xml

__all__ = ["Incoming", "NothingToImport", "Part", "Refused", "find_files", "parts_of", "read_file", "read_part"]

_LINES = (".ndjson", ".jsonl")
_ENDINGS = (*_LINES, ".json")
_XML = (".xml", ".xml.gz")
_PARQUET: Final = ".parquet"
_PART: Final = 2_000
_PART_BYTES: Final = 8_000_000
_UNREADABLE: Final = (OSError, EOFError, zlib.error)


class NothingToImport(ToroError):
    """There are no FHIR files; name files, or folders of .ndjson, .jsonl or .json. Parquet is not read, XML if it is named."""

    reason = "NOTHING_TO_IMPORT"
    issue = "not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A resource read, where (`in/Patient.ndjson.gz:17`, `in/bundle.json entry 3`), and about how many bytes it took there."""

    place: str
    resource: JsonObject
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something that could not be taken, and why."""

    place: str
    why: str


class Part(NamedTuple):
    """Some lines of a file and the number of the first, or where `lines` is None the whole file, which is not one of lines."""

    path: str
    number: int
    lines: bytes | None


def find_files(paths: Iterable[Path]) -> list[Path]:
    """List the FHIR files among these files and below these folders, in order; `*`, `?` and `[…]` stand for what they match.

    Of a folder that holds the manifest of a bulk export, these are the files of resources that it names. Raises FileNotFoundError.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and (manifest := read_manifest(path)) is not None:
            found += manifest.output
        elif path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.is_file() and _kind(file) is not None)
        elif path.is_file():
            found.append(path)
        elif matched := sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))):
            found += find_files(matched)
        else:
            raise FileNotFoundError(f"{path}: no such file or folder")
    return found


def _kind(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return next((ending for ending in _ENDINGS if name.endswith(ending)), None)


def parts_of(path: Path) -> Iterator[Part | Refused]:
    """Cut a file into parts that are read one by one, each of at most 2000 lines or 8 MB and a line."""
    if path.name.lower().endswith(_XML) or _kind(path) not in _LINES:
        yield Part(str(path), 1, None)
        return
    first, lines, size = 1, list[bytes](), 0
    why: Exception | None = None
    try:
        with _open(path) as stream:
            for line in stream:
                lines.append(line)
                size += len(line)
                if len(lines) >= _PART or size >= _PART_BYTES:
                    yield Part(str(path), first, b"".join(lines))
                    first, lines, size = first + len(lines), [], 0
    except _UNREADABLE as error:
        why = error
    if lines:
        yield Part(str(path), first, b"".join(lines))
    if why is not None:
        yield _unreadable(path, why)


def read_part(part: Part) -> Iterator[Incoming | Refused]:
    """Read a part's resources as `read_file` does those of a file."""
    if part.lines is None:
        yield from read_file(Path(part.path))
    else:
        yield from _read_lines(part.path, io.BytesIO(part.lines), part.number)


def read_file(path: Path, *, unpacked: bool = True) -> Iterator[Incoming | Refused]:
    """Read a file's resources one after the other; what cannot be read is told by its place and does not stop the rest.

    A Bundle is its entries, or itself where it is not to be unpacked.
    """
    if path.suffix.lower() == _PARQUET:
        yield Refused(
            place=str(path), why="Parquet has columns of resources, not resources; import the export's NDJSON."
        )
        return
    try:
        with _open(path) as stream:
            if path.name.lower().endswith(_XML):
                yield from _read_xml(path, stream.read(), unpacked)
            elif _kind(path) in _LINES:
                yield from _read_lines(str(path), stream, 1)
            else:
                yield from _read_document(path, stream.read(), unpacked)
    except _UNREADABLE as error:
        yield _unreadable(path, error)


def _unreadable(path: Path, error: Exception) -> Refused:
    return Refused(place=str(path), why=f"the file cannot be read: {error}")


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _read_lines(path: str, stream: IO[bytes], first: int) -> Iterator[Incoming | Refused]:
    for number, line in enumerate(stream, first):
        if line.strip():
            yield _parse(f"{path}:{number}", line)


def _read_xml(path: Path, text: bytes, unpacked: bool) -> Iterator[Incoming | Refused]:
    xml = open_xml()
    if xml is None:
        yield Refused(place=str(path), why="XML needs lxml; install toro-fhir[xml].")
        return
    try:
        json = xml.to_json(text)
    except InvalidXml as error:
        yield from (Refused(place=str(path), why=issue.diagnostics) for issue in error.issues)
        return
    yield from _read_document(path, json, unpacked)


def _read_document(path: Path, text: bytes, unpacked: bool) -> Iterator[Incoming | Refused]:
    parsed = _parse(str(path), text)
    if isinstance(parsed, Refused) or not unpacked or parsed.resource.get("resourceType") != "Bundle":
        yield parsed
        return
    entries = list(unbundle(parsed.resource))
    for number, (resource, why) in enumerate(entries):
        place = f"{path} entry {number}"
        if resource is None:
            yield Refused(place=place, why=why)
        else:
            yield Incoming(place=place, resource=resource, size=len(text) // len(entries))


def _parse(place: str, text: bytes) -> Incoming | Refused:
    try:
        return Incoming(place=place, resource=loads(text), size=len(text))
    except ToroError as error:
        return Refused(place=place, why=str(error))
