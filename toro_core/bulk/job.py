"""What is kept of an export: what was asked for, units of work with their progress, and the files that exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from toro_core.errors import Issue

__all__ = [
    "MEDIA_TYPES",
    "Ask",
    "Clause",
    "File",
    "FileKind",
    "Filter",
    "Format",
    "Job",
    "Level",
    "Provenance",
    "Unit",
    "UnitKind",
    "decode_job",
    "decode_unit",
    "encode",
]

Level: TypeAlias = Literal["system", "patient", "group"]
Format: TypeAlias = Literal["ndjson", "parquet"]
FileKind: TypeAlias = Literal["output", "deleted", "error", "references"]
Provenance: TypeAlias = Literal["", "latest", "relevant"]
UnitKind: TypeAlias = Literal["scan", "referenced"]


MEDIA_TYPES: Final = {"ndjson": "application/fhir+ndjson", "parquet": "application/vnd.apache.parquet"}
"""By the format, which is the ending of the files' names too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A search parameter of a filter, split."""

    code: str
    modifier: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A search that resources of the type may match; one of the type's filters has to."""

    type: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An export as understood. `since` and `until`, both exclusive, are milliseconds since 1970 UTC."""

    level: Level
    types: tuple[str, ...]
    """All types that go out."""
    groups: tuple[tuple[str, int], ...] = ()
    """Id and version of the Group and of those that are its members."""
    patients: tuple[str, ...] | None = None
    """Ids of the patients asked for; None stands for all."""
    since: int | None = None
    until: int | None = None
    filters: tuple[Filter, ...] = ()
    elements: tuple[str, ...] = ()
    provenance: Provenance = ""
    """Which Provenance goes out beside the resources it is about; "" where that was not asked for."""
    format: Format = "ndjson"
    url: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that exists: `stored` is its name in the file store, `name` the one it is offered by."""

    kind: FileKind
    type: str
    stored: str
    count: int
    size: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A part of an export's work: the commits after one sequence up to another, or what the exported resources refer to.

    `position` is the last commit whose resources are in `files`, `seen` the last one looked at; `lease` is the fencing token of
    who works on it.
    """

    number: int
    kind: UnitKind
    after: int
    up_to: int
    position: int
    seen: int
    lease: int = 0
    attempts: int = 0
    done: bool = False
    files: tuple[File, ...] = ()
    resources: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An export of what was stored at sequence `seq`, whose time is `at`; times are milliseconds since 1970 UTC."""

    id: str
    owner: str
    scopes: tuple[str, ...]
    """What the owner's token allowed when the export was asked for; it is allowed no more later."""
    ask: Ask
    seq: int
    at: int
    created: int
    units: int
    notes: tuple[Issue, ...] = ()
    state: Literal["running", "complete", "failed"] = "running"
    files: tuple[File, ...] = ()
    resources: int = 0
    bytes: int = 0
    expires: int | None = None
    failure: str = ""


_JOB: Final = msgspec.json.Decoder(Job)
_UNIT: Final = msgspec.json.Decoder(Unit)


def encode(record: Job | Unit) -> bytes:
    """Write a record as JSON."""
    return msgspec.json.encode(record)


def decode_job(value: bytes) -> Job:
    """Read a job's record."""
    return _JOB.decode(value)


def decode_unit(value: bytes) -> Unit:
    """Read a unit's record."""
    return _UNIT.decode(value)
