"""Writes where everything lies in a generation, and the state records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from toro_core.storage import Key
from toro_ndjson.folder import Folder
from toro_ndjson.layout import index_file, state_file
from toro_ndjson.lines import sealed
from toro_ndjson.output import Output
from toro_ndjson.picture import Picture
from toro_ndjson.places import File, Place
from toro_ndjson.records import StateChange
from toro_ndjson.versions import Head, Version

__all__ = ["write_index", "write_state"]

_ENCODER: Final = msgspec.json.Encoder()


def write_index(own: Folder, picture: Picture, moved: Mapping[Version, Place]) -> tuple[list[str], int]:
    """Write where every version lies and how current ones are indexed; return the files in use, and how long the index is."""
    output = Output(File(own.create(index_file(picture.generation)), "", "history"))
    rows = {head.version.key: head for heads in picture.heads.values() for head in heads}
    files: dict[str, int] = {}
    by_key: dict[Key, list[Version]] = defaultdict(list)
    for version in picture.log:
        by_key[version.key].append(version)
    for key, versions in by_key.items():
        head = rows.get(key)
        written = b"".join(_index_line(key, versions, head, moved, files))
        output.add(sealed(written))
    output.add(sealed(b'{"files":' + _ENCODER.encode(list(files)) + b"}"))
    output.finish()
    return list(files), output.end


def write_state(own: Folder, picture: Picture) -> int:
    """Write the state records and return how long their file is."""
    output = Output(File(own.create(state_file(picture.generation)), "", "history"))
    for record in picture.state:
        change = StateChange(key=record.key, revision=record.revision, value=record.value, expires_at=record.expires_at)
        output.add(sealed(_ENCODER.encode(change)))
    output.finish()
    return output.end


def _index_line(
    key: Key, versions: Iterable[Version], head: Head | None, moved: Mapping[Version, Place], files: dict[str, int]
) -> Iterator[bytes]:
    places = []
    for version in versions:
        place = moved.get(version, version.place)
        if place is None:
            places.append([version.number, version.seq, version.order, version.at])
        elif place.file.kind != "foreign":
            number = files.setdefault(place.file.name, len(files))
            places.append(
                [version.number, version.seq, version.order, version.at, number, place.offset, place.length, place.crc]
            )
    yield b'{"type":%s,"id":%s,"versions":%s' % tuple(map(_ENCODER.encode, (key.type, key.id, places)))
    if head is not None and head.rows is not None:
        place = head.version.place
        if place is not None and place.file.kind == "foreign":
            yield b',"foreign":%d' % place.crc
        yield b',"rows":' + head.rows
    yield b"}"
