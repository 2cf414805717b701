"""Reads back what compactions and the journal have kept; what is damaged is named by file and line and not served."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from toro_core.errors import Damaged, StorageError
from toro_core.storage import Key
from toro_ndjson.catalog import Catalog
from toro_ndjson.faults import fault
from toro_ndjson.folder import Folder
from toro_ndjson.journal import JOURNAL, sealed_journal
from toro_ndjson.layout import CURRENT, HISTORY, OWN, Layout, Manifest, index_file, state_file
from toro_ndjson.lines import Line, lines, unsealed
from toro_ndjson.places import File, Place
from toro_ndjson.records import Said, StateChange
from toro_ndjson.reports import Reports
from toro_ndjson.versions import Version

__all__ = ["recover", "recover_foreign", "sealed_journals"]

T = TypeVar("T")
_SAID: Final = msgspec.json.Decoder(Said)
_REMEDY: Final = "restore the folder from a backup"


class _Indexed(msgspec.Struct, frozen=True):
    type: str
    id: str
    versions: list[list[int]]
    foreign: int | None = None
    rows: msgspec.Raw = msgspec.Raw()


class _Files(msgspec.Struct, frozen=True):
    files: list[str]


_INDEXED: Final = msgspec.json.Decoder(_Indexed)
_FILES: Final = msgspec.json.Decoder(_Files)
_STATE: Final = msgspec.json.Decoder(StateChange)


def recover(layout: Layout, manifest: Manifest, foreign: Sequence[Version], reports: Reports) -> tuple[Catalog, int]:
    """Return the catalog, on top of what others wrote, and up to where the journal is whole. Raises Damaged."""
    catalog = Catalog()
    heads: dict[Key, tuple[Version, bytes | None]] = {version.key: (version, None) for version in foreign}
    versions = list(foreign)
    for version, rows in _indexed(layout, manifest, heads):
        versions.append(version)
        heads[version.key] = (version, rows)
        reports.read()
    versions.sort(key=lambda version: (version.seq, version.order))
    for version in versions:
        catalog.enter(version)
    for version, rows in heads.values():
        if version.place is not None:
            catalog.show(version.key, version, rows)
    name = state_file(manifest.generation)
    for line in _whole(layout.own, name, manifest.generation, manifest.state):
        change = _understood(_STATE, line, f"{OWN}/{name}")
        catalog.put(change.key, change.record(), change.revision)
    catalog.seq, catalog.at = max(catalog.seq, manifest.seq), max(catalog.at, manifest.at)
    catalog.revision = max(catalog.revision, manifest.revision)
    for generation in sealed_journals(layout.own, manifest.generation):
        name = sealed_journal(generation)
        _replay(File(layout.own.read(name), f"{OWN}/{name}", "journal"), catalog, reports, last=False)
    if layout.own.size(JOURNAL) is None:
        return catalog, 0
    return catalog, _replay(File(layout.own.read(JOURNAL), f"{OWN}/{JOURNAL}", "journal"), catalog, reports, last=True)


def recover_foreign(foreign: Sequence[Version]) -> Catalog:
    """Return a catalog of what others wrote alone."""
    catalog = Catalog()
    for version in foreign:
        catalog.add(version)
    return catalog


def sealed_journals(own: Folder, generation: int) -> list[int]:
    """Return the generations after this one whose journals were put aside and whose compaction has not happened."""
    numbers = [name.removeprefix("journal-").removesuffix(".ndjson") for name in own.names()]
    return sorted(int(number) for number in numbers if number.isdigit() and int(number) > generation)


def _indexed(
    layout: Layout, manifest: Manifest, heads: dict[Key, tuple[Version, bytes | None]]
) -> Iterator[tuple[Version, bytes | None]]:
    name = index_file(manifest.generation)
    waiting: list[tuple[Version, list[int]]] = []
    last: Line | None = None
    for line in _whole(layout.own, name, manifest.generation, manifest.index):
        if last is not None:
            each = _understood(_INDEXED, last, f"{OWN}/{name}")
            key = Key(sys.intern(each.type), each.id)
            rows = bytes(each.rows) or None
            if each.foreign is not None:
                version, _ = heads.get(key, (None, None))
                if version is not None and version.place is not None and version.place.crc == each.foreign:
                    heads[key] = version, rows
            for number, seq, order, at, *place in each.versions:
                version = Version(key, number, seq, order, at, None)
                if place:
                    waiting.append((version, place))
                # Rows are those of the last one; the others are replaced by it.
                yield version, rows
        last = line
    if last is None:
        if manifest.generation:
            raise Damaged(f"{OWN}/{name} is empty; {_REMEDY}")
        return
    # The last line names the files, which only then are known.
    files = [_opened(layout, each) for each in _understood(_FILES, last, f"{OWN}/{name}").files]
    for version, (number, offset, length, crc) in waiting:
        version.place = Place(files[number], offset, length, crc)
    _verify(layout, manifest, [version for version, _ in waiting])


def _opened(layout: Layout, name: str) -> File:
    is_history = name.startswith(f"{OWN}/{HISTORY}/")
    folder = layout.history if is_history else layout.current
    try:
        return File(folder.read(name.rpartition("/")[2]), name, "history" if is_history else "current")
    except OSError as error:
        raise _unread(name, error) from error


def _verify(layout: Layout, manifest: Manifest, versions: Sequence[Version]) -> None:
    """Read every resource once, in the order in which they lie. Raises Damaged."""
    for version in versions:
        if version.place is not None:
            version.place.read()
    where = "" if layout.current is layout.root else f"{OWN}/{CURRENT}/"
    for name, size in manifest.sizes.items():
        if layout.current.size(name) != size:
            raise Damaged(
                f"{where}{name} was changed by something else; {_REMEDY}, and import what is new with toro import"
            )


def _whole(own: Folder, name: str, generation: int, size: int | None) -> Iterator[Line]:
    """Yield the lines of a file that a compaction has written, so long. Raises Damaged where it is not as it was written."""
    if not generation:
        return
    try:
        file = File(own.read(name), f"{OWN}/{name}", "history")
    except OSError as error:
        raise _unread(f"{OWN}/{name}", error) from error
    count = 0
    for line in lines(file):
        if not line.whole or not unsealed(line.data):
            raise Damaged(f"line {line.number} of {file.name} is damaged; {_REMEDY}")
        count = line.number
        yield line
    if size is not None and file.length() != size:
        kind = "are missing from" if file.length() < size else "were added to"
        raise Damaged(f"lines {kind} {file.name}, which has {count} of them; {_REMEDY}")


def _unread(name: str, error: OSError) -> StorageError:
    if isinstance(error, PermissionError):
        # Nothing is lost as long as it is there.
        return fault(error, f"reading {name}")
    return Damaged(f"{name} is missing or cannot be read ({error.strerror}); {_REMEDY}")


def _understood(decoder: msgspec.json.Decoder[T], line: Line, name: str) -> T:
    try:
        return decoder.decode(line.data)
    except msgspec.MsgspecError as error:
        raise Damaged(
            f"line {line.number} of {name} says what this version of Toro does not understand; {_REMEDY}"
        ) from error


def _replay(file: File, catalog: Catalog, reports: Reports, *, last: bool) -> int:
    """Do again what the journal says and return up to where it is whole.

    A damaged line belongs to what was being written when the process died, unless a later batch says that it was durable.
    """
    rest = lines(file)
    for line in rest:
        if line.whole and unsealed(line.data):
            _do(_understood(_SAID, line, file.name), line, file, catalog)
            continue
        if not last or _was_durable(line, rest):
            raise Damaged(
                f"line {line.number} of {file.name} is damaged, and what follows it depends on it; {_REMEDY}, or cut the file "
                "off before that line to give up everything written since"
            )
        reports.say(file.name, line.number, "was being written when the process ended and was never answered: dropped")
        return line.offset
    return file.length()


def _was_durable(damaged: Line, rest: Iterator[Line]) -> bool:
    return any(line.whole and unsealed(line.data) and _SAID.decode(line.data).start > damaged.offset for line in rest)


def _do(said: Said, line: Line, file: File, catalog: Catalog) -> None:
    for order, (entry, place) in enumerate(said.entries(line.data)):
        found = None if place is None else Place(file, line.offset + place[0], *place[1:])
        catalog.add(Version(entry.key, entry.number, said.seq, order, said.at, found), entry.rows)
    for each in said.reindexed:
        catalog.reindex(Key(each.type, each.id), each.version, bytes(each.rows))
    if said.state is not None:
        catalog.put(said.state.key, said.state.record(), said.state.revision)
