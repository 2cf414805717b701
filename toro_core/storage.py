"""The storage contract: what a plugin implements and what the core relies on. `toro_core.testing` proves it.

Past 250 lines so that a plugin's author finds the whole contract on one page.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from toro_core.search.plan import MISSING, Criterion, Cursor, SearchPlan

__all__ = [
    "ABSENT",
    "ANY",
    "MISSING",
    "NO_ROWS",
    "Absent",
    "Any",
    "Arranges",
    "BacksUp",
    "Body",
    "Capability",
    "Condition",
    "DateRow",
    "Expect",
    "Explains",
    "Finds",
    "GivesLines",
    "GivesScratch",
    "GroupRow",
    "HistoryPlan",
    "Indexed",
    "Indexes",
    "Key",
    "LineBatch",
    "Lines",
    "Loading",
    "LooksOnly",
    "NumberRow",
    "OpenStorage",
    "OrderRow",
    "Page",
    "QuantityRow",
    "ReferenceRow",
    "Rows",
    "ScanPlan",
    "Schema",
    "Stages",
    "StateRecord",
    "Storage",
    "Stored",
    "StringRow",
    "TokenRow",
    "Upgrades",
    "UriRow",
    "Version",
    "Watermark",
    "Write",
    "instant",
    "joined",
    "stamp",
]

Capability = Literal["transactions", "history", "state_ttl", "joins", "ordered_changes", "snapshot_scan"]
"""An observable property of a storage instance, as configured:

transactions: a commit of several writes is all or nothing; history: past versions can be read; state_ttl: state records expire;
joins: plans may hold Chain and Has, which the core replaces by lists of ids otherwise; ordered_changes: `changes` and histories of
more than one resource are in commit order and miss nothing below the watermark; snapshot_scan: a scan sees the storage as it was
at a sequence, whatever is written meanwhile.
"""


class Key(NamedTuple):
    """A resource's type and logical id."""

    type: str
    id: str

    def __str__(self) -> str:
        """Render as a relative reference, `Patient/1`."""
        return f"{self.type}/{self.id}"


class TokenRow(NamedTuple):
    """`system` is "" where the value has none; `code` is "" where a coding has only a system.

    Both are "" where there is an element without any code: such a row says that it is there.
    """

    param: str
    system: str
    code: str


class StringRow(NamedTuple):
    """`folded` is what starts-with compares (case and accents folded by the core); `exact` is the value as stored."""

    param: str
    folded: str
    exact: str


class DateRow(NamedTuple):
    """The half-open interval [low, high) in microseconds since 1970 UTC; open ends are NEVER and FOREVER."""

    param: str
    low: int
    high: int


class ReferenceRow(NamedTuple):
    """A reference to (type, id), with the version where the reference names one, else ""."""

    param: str
    type: str
    id: str
    version: str


class UriRow(NamedTuple):
    """A uri or another text that many resources share."""

    param: str
    value: str


class NumberRow(NamedTuple):
    """The closed interval [low, high]; a single number is both. Open ends are the greatest finite floats."""

    param: str
    low: float
    high: float


class QuantityRow(NamedTuple):
    """A closed interval of values in a unit: system "" as published, otherwise in the system's canonical unit."""

    param: str
    system: str
    code: str
    low: float
    high: float


class GroupRow(NamedTuple):
    """Rows that stand together in one part of the resource, for `Composite`.

    Of its rows are filled only tokens, strings, dates, references, uris, numbers and quantities.
    """

    param: str
    rows: Rows


class OrderRow(NamedTuple):
    """What sorting by `param` compares: the lowest and the highest of the resource's values, numbers or texts alike."""

    param: str
    low: int | float | str
    high: int | float | str


class Rows(Struct, frozen=True, kw_only=True, gc=False):
    """A resource's index rows, extracted by the core from the version being written.

    `sort` is the value the type is ordered by when nothing else is asked (its clinical date's low bound in microseconds, MISSING
    where absent); None stands for the time of the commit in microseconds, for types without such a date. What makes a copy with
    other rows is `msgspec.structs.replace`.
    """

    sort: int | None = None
    tokens: tuple[TokenRow, ...] = ()
    strings: tuple[StringRow, ...] = ()
    dates: tuple[DateRow, ...] = ()
    references: tuple[ReferenceRow, ...] = ()
    uris: tuple[UriRow, ...] = ()
    numbers: tuple[NumberRow, ...] = ()
    quantities: tuple[QuantityRow, ...] = ()
    groups: tuple[GroupRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    compartments: tuple[str, ...] = ()
    """Ids of the patients in whose compartments the resource lies."""


NO_ROWS: Final = Rows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A resource's JSON with one slot for the server's own members of `meta`; `stamp` fills it."""

    before: bytes
    after: bytes


class Stored(NamedTuple):
    """One version of a resource. `seq` orders commits, `at` is milliseconds since 1970 UTC; a tombstone's `json` is empty."""

    key: Key
    version: int
    seq: int
    at: int
    deleted: bool
    json: bytes


@dataclass(frozen=True, slots=True)
class Any:
    """Whatever the resource's state."""


@dataclass(frozen=True, slots=True)
class Absent:
    """No such resource, or a tombstone; else `AlreadyExists`."""


@dataclass(frozen=True, slots=True)
class Version:
    """The current version is this one and not a tombstone; else `PreconditionFailed`."""

    number: int


Expect: TypeAlias = Any | Absent | Version
ANY: Final = Any()
ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Of the resources of `type`, `criterion` holds for `finds` alone, or for none; else `ConditionChanged`.

    It is judged inside the commit's transaction, as things are before its first write. The criterion holds no Chain and no Has.
    """

    type: str
    criterion: Criterion
    finds: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A new version of `key`: `body` with its index `rows`, or a tombstone where `body` is None.

    What is said beside `expect` holds for the whole commit, whichever of its writes says it. `targets` and `unreferenced` are
    judged inside the transaction as well, as things are after the commit's last write.
    """

    key: Key
    body: Body | None
    rows: Rows = NO_ROWS
    expect: Expect = ANY
    conditions: tuple[Condition, ...] = ()
    targets: tuple[Key, ...] = ()
    """Each of these exists and is not deleted; else `TargetMissing`."""
    unreferenced: bool = False
    """No current resource but itself has a reference row to `key`; else `StillReferenced`, which names at most ten."""


class Indexed(NamedTuple):
    """Index rows as they should be for a version of a resource."""

    key: Key
    version: int
    rows: Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPlan:
    """The versions of one resource, of some types or of all, newest commit first, from after `cursor`.

    Of one commit's versions the later is the newer. `since` and `until` are milliseconds since 1970 UTC.
    """

    key: Key | None = None
    types: tuple[str, ...] = ()
    """Without a key: these types alone; empty stands for all."""
    since: int | None = None
    """Versions written at this time or later."""
    until: int | None = None
    """Versions written before this time."""
    current_after: int | None = None
    """Versions that no other had replaced by this time: the current ones, and those replaced later than it."""
    limit: int = 50
    max_bytes: int = 4_000_000
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """The versions that were current at the sequence `as_of`, in commit order, from after `after`.

    A version is current at S where its own sequence is at most S and its successor's, if any, is greater. Tombstones are versions.
    """

    as_of: int
    types: tuple[str, ...] = ()
    """These types alone; empty stands for all."""
    since: int | None = None
    """Versions written later than this, in milliseconds since 1970 UTC."""
    after: int = 0
    """Versions of commits with a greater sequence: where a scan goes on, and where a partition begins."""
    up_to: int | None = None
    """Versions of commits with at most this sequence: where a partition ends."""
    max_bytes: int = 1_000_000
    """About the size of a batch. A batch holds whole commits, so that the last sequence seen is where to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """Where the storage has come to: nothing can appear any more with a sequence of at most `seq`, nor at a time of at most `at`.

    Every version with a sequence of at most `seq` was written at `at` (milliseconds since 1970 UTC) or before, every other later,
    whatever the clock does: the storage keeps the time it has named from being given to a later commit.
    """

    seq: int
    at: int


class Loading(NamedTuple):
    """A version as another storage had it: its number, sequence, time and bytes are kept.

    `rows` are its index rows where it is the resource's current version and not a tombstone, else None.
    """

    stored: Stored
    rows: Rows | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Resources in the plan's order; `cursor` is where the next page starts, None where nothing follows."""

    resources: Sequence[Stored]
    cursor: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """A small server record. `revision` grows with every change of the key; `expires_at` is milliseconds since 1970 UTC."""

    key: str
    value: bytes
    revision: int
    expires_at: int | None


@runtime_checkable
class Storage(Protocol):
    """Keeps versions of resources and small state records; executes plans. Safe for concurrent use from one event loop."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this instance, as configured, does."""

    async def read(self, key: Key, version: int | None = None) -> Stored:
        """Return the current version, which may be a tombstone, or the given one. Raises NotFound."""

    async def read_many(self, keys: Sequence[Key]) -> Sequence[Stored | None]:
        """Return the current versions in the order of `keys`, tombstones included, None where there is no such resource."""

    async def commit(self, writes: Sequence[Write]) -> Sequence[Stored]:
        """Write every one, or none, and return once they are durable, in order.

        Versions count from 1 and continue after a tombstone; `seq` and `at` are assigned inside the transaction, are the same
        for all writes of a commit and never decrease in commit order. The same key twice in one commit is two versions.
        Raises AlreadyExists or PreconditionFailed where an expectation fails, ConditionChanged, TargetMissing, StillReferenced,
        StorageFull, StorageBusy. A tombstone for a key that does not exist raises NotFound; for one already deleted, Gone.
        """

    async def reindex(self, indexed: Sequence[Indexed]) -> None:
        """Replace the index rows of resources, durably, and nothing else: no version, sequence or time changes.

        What is at another version by now, deleted or not there is left as it is.
        """

    async def search(self, plan: SearchPlan) -> Page:
        """Return one page of current, not deleted resources."""

    async def count(self, plan: SearchPlan, at_most: int | None = None) -> int:
        """Count all resources of the plan, whatever its limit and cursor; stop at `at_most`."""

    async def history(self, plan: HistoryPlan) -> Page:
        """Return versions, tombstones included. Raises NotFound where the plan's key never existed."""

    def scan(self, plan: ScanPlan) -> AsyncIterator[Sequence[Stored]]:
        """Yield the plan's versions in batches of whole commits; an empty batch may come between. No lock outlives a batch."""

    def changes(self, after: int) -> AsyncIterator[Sequence[Stored]]:
        """Yield every version of the commits after this sequence, up to the watermark, in commit order and batches as `scan` does.

        It ends there; who wants more calls again with the last sequence seen.
        """

    async def watermark(self) -> Watermark:
        """Return where the storage has come to, everything answered so far included."""

    async def load(self, versions: Sequence[Loading]) -> None:
        """Take over versions of another storage, all or none, durably: whole commits, in commit order.

        A version that is there already, byte for byte, is passed over, so that a broken migration goes on; the next commit's
        sequence and time follow the greatest loaded. Raises Unsupported where the storage holds anything else.
        """

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        """Write a record and return its revision; `if_revision` 0 means absent or expired, n exactly that revision.

        `ttl` is in seconds, judged by the storage's clock. Raises StateConflict. Durable on return.
        """

    async def get_state(self, key: str) -> StateRecord | None:
        """Return the record, or None where there is none or it has expired."""

    async def list_state(self, prefix: str) -> Sequence[StateRecord]:
        """Return the live records whose key starts with `prefix`, in key order."""

    async def delete_state(self, key: str, *, if_revision: int | None = None) -> bool:
        """Delete the record; False where there was none. Raises StateConflict."""


@runtime_checkable
class Explains(Protocol):
    """A storage that can say how it executes a plan; not every one has to."""

    async def explain(self, plan: SearchPlan) -> str:
        """Say in lines of text, statements included, what `search` does for the plan; nothing is executed."""


class Lines(NamedTuple):
    """Resources of one type as they are stored, joined by newlines; one with a line break of its own stands alone."""

    type: str
    resources: int
    json: bytes


class LineBatch(NamedTuple):
    """What is current and not deleted of some whole commits, each type's in commit order; `seq` is where to go on."""

    seq: int
    lines: Sequence[Lines]


@runtime_checkable
class GivesLines(Protocol):
    """A storage that can read out JSON quicker than `scan` does, since nobody asks what is whose; not every one can."""

    def lines(self, plan: ScanPlan) -> AsyncIterator[LineBatch]:
        """Yield the JSON of what `scan` yields for the plan, without tombstones, in batches as bounded as those."""


class Schema(NamedTuple):
    """The version of a storage's schema, and the one that this program works with."""

    found: int
    known: int


@runtime_checkable
class Finds(Protocol):
    """Upkeep that can tell whether there is a storage: opening one makes it where there is none."""

    async def exists(self, url: str) -> bool:
        """Look, without making anything. Raises StorageError where that cannot be told."""


@runtime_checkable
class Upgrades(Protocol):
    """Upkeep of storages whose schema has versions: opening one at an older version is refused until it is upgraded."""

    async def schema(self, url: str) -> Schema:
        """Look at a closed storage's schema. Raises StorageError where there is none, Unsupported for a newer one."""

    async def upgrade(self, url: str) -> None:
        """Bring the schema to this program's version, all of it or nothing."""


@runtime_checkable
class Arranges(Protocol):
    """Upkeep of storages whose data may have to be laid out anew, such as over a cluster; until then they serve as they lie."""

    async def pending(self, url: str) -> str:
        """Say what `arrange` would do, in a phrase; empty where nothing is to be done."""

    async def arrange(self, url: str) -> None:
        """Do it, all of it or nothing, while no server has the storage open."""


@runtime_checkable
class BacksUp(Protocol):
    """Upkeep of storages that have a way of their own to be backed up into one file; others are migrated into one."""

    async def backup(self, url: str, file: Path) -> None:
        """Copy everything, as it is at one moment, into a new file, while servers write; it is there whole or not at all."""

    async def restore(self, file: Path, url: str) -> None:
        """Put a backup where there is nothing yet, having looked whether it is whole. Raises Unsupported, Damaged."""


@runtime_checkable
class Stages(Protocol):
    """Upkeep that fills a storage all at once or not at all, where it has no way of its own to restore a backup."""

    def staged(self, url: str) -> AbstractAsyncContextManager[str]:
        """Give the URL of an empty storage that becomes this one at the end, or is removed where the block raises.

        Raises Unsupported where something is there already, and at the end where something has come to be there meanwhile.
        """


@runtime_checkable
class GivesScratch(Protocol):
    """Upkeep that lets `toro storage check` work beside a storage without touching it."""

    def scratch(self, url: str) -> AbstractAsyncContextManager[str]:
        """Give the URL of a new and empty storage on the same ground as this one, and remove it afterwards."""


@runtime_checkable
class LooksOnly(Protocol):
    """Upkeep of storages that opening makes where they are missing, so that `toro storage info` makes none."""

    async def looking(self, url: str) -> str:
        """Return the URL that opens what is there and makes nothing. Raises StorageError where there is nothing."""


@runtime_checkable
class Indexes(Protocol):
    """A storage in which resources may lie that nobody has indexed, such as files that others wrote; not every one is.

    Whoever opens it for searching lets the core index them first.
    """

    def unindexed(self) -> AsyncIterator[Sequence[Stored]]:
        """Yield the current resources without index rows in batches; each of a batch is indexed or left out before the next."""

    async def leave_out(self, keys: Mapping[Key, str]) -> None:
        """Serve these no more, and say where they lie and what is wrong with each."""


OpenStorage: TypeAlias = Callable[[str], AbstractAsyncContextManager[Storage]]
"""Opens a URL: `async with open_storage("sqlite:///toro.db") as storage`. Closing waits for queued commits."""


@lru_cache(maxsize=16)  # the versions of a commit have one time
def instant(at: int) -> str:
    """Render milliseconds since 1970 UTC as a FHIR instant, `2026-01-31T08:00:00.123Z`."""
    seconds, millis = divmod(at, 1000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def stamp(body: Body, version: int, at: int) -> bytes:
    """Fill the body's slot with versionId and lastUpdated."""
    return b'%s"versionId":"%d","lastUpdated":"%s"%s' % (body.before, version, instant(at).encode(), body.after)


def joined(versions: Iterable[Stored]) -> list[Lines]:
    """Join the JSON of versions that are not tombstones, by type."""
    by_type: dict[str, list[bytes]] = {}
    for (type_, _), _, _, _, deleted, json in versions:
        if not deleted:
            by_type.setdefault(type_, []).append(json)
    found: list[Lines] = []
    for type_, some in by_type.items():
        text = b"\n".join(some)
        if b"\r" in text or text.count(b"\n") >= len(some):
            found += [Lines(type_, 1, json) for json in some]
        else:
            found.append(Lines(type_, len(some), text))
    return found
