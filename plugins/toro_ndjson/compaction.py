"""Writes a generation: type files of the current resources, what was replaced, where everything lies.

It works on a picture of the catalog taken when the journal was put aside. Until the manifest names the generation nothing of it
counts; from then on what remains to be done is repeated by whoever opens the folder next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from toro_ndjson.directory import write_index, write_state
from toro_ndjson.folder import Folder
from toro_ndjson.journal import sealed_journal
from toro_ndjson.layout import (
    CURRENT,
    HISTORY,
    OWN,
    Layout,
    Manifest,
    history_file,
    next_folder,
    type_file,
    write_manifest,
)
from toro_ndjson.lines import sealed
from toro_ndjson.output import Output
from toro_ndjson.picture import Picture
from toro_ndjson.places import File, Place
from toro_ndjson.records import Entry, lay_out
from toro_ndjson.versions import Head, Version

__all__ = ["clean_up", "put_in_place", "write_generation"]

_MOST_HISTORIES: Final = 50
_ENCODER: Final = msgspec.json.Encoder()


def write_generation(layout: Layout, manifest: Manifest, picture: Picture) -> tuple[Manifest, dict[Version, Place]]:
    """Write everything, let it count, and return the new manifest and where versions lie from now on. Raises OSError."""
    generation = picture.generation
    moved: dict[Version, Place] = {}
    sizes = _write_types(layout, manifest, picture, moved)
    _write_history(layout, picture, moved)
    files, index = write_index(layout.own, picture, moved)
    state = write_state(layout.own, picture)
    layout.own.sync()
    new = Manifest(
        format=manifest.format,
        kind=manifest.kind,
        began=manifest.began,
        generation=generation,
        seq=picture.seq,
        at=picture.at,
        revision=picture.revision,
        sizes=sizes,
        histories=[name.rpartition("/")[2] for name in files if name.startswith(f"{OWN}/{HISTORY}/")],
        index=index,
        state=state,
    )
    write_manifest(layout.own, new)
    put_in_place(layout, generation)
    return new, moved


def put_in_place(layout: Layout, generation: int) -> None:
    """Move the type files of a generation that counts to where they belong; what is empty goes away."""
    name = next_folder(generation)
    try:
        waiting = layout.own.within(name)
    except FileNotFoundError:
        return
    try:
        for each in waiting.names():
            if waiting.size(each):
                waiting.rename(each, layout.current, each)
            else:
                layout.current.remove(each)
        layout.current.sync()
    finally:
        waiting.close()
    layout.own.remove_folder(name)


def clean_up(layout: Layout, manifest: Manifest) -> None:
    """Remove what does not count any more, or never did."""
    generation = manifest.generation
    journals = {sealed_journal(number) for number in range(generation + 1)}
    for name in layout.own.names():
        stem, _, number = name.removesuffix(".ndjson").rpartition("-")
        if stem in {"index", "state"} and number != str(generation):
            layout.own.remove(name)
        elif stem == "next":
            layout.own.remove_folder(name)
        elif name in journals or name.endswith(".new"):
            layout.own.remove(name)
    for name in layout.history.names():
        if name not in manifest.histories:
            layout.history.remove(name)


def _write_types(
    layout: Layout, manifest: Manifest, picture: Picture, moved: dict[Version, Place]
) -> Mapping[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for version in picture.log:
        if version.place is not None and version.place.file.kind == "current":
            counts[version.key.type] += 1
    sizes = dict(manifest.sizes)
    name = next_folder(picture.generation)
    layout.own.remove_folder(name)
    folder = layout.own.within(name, make=True)
    try:
        for type_ in sorted({*counts, *picture.heads}):
            heads = [head for head in picture.heads.get(type_, ()) if not _is_foreign(head.version)]
            if len(heads) == counts[type_] and all(_is_current(head.version) for head in heads):
                continue
            file = type_file(type_)
            end = _write_type(folder, layout, file, heads, moved)
            sizes.pop(file, None)
            if end:
                sizes[file] = end
        folder.sync()
    finally:
        folder.close()
    return sizes


def _write_type(folder: Folder, layout: Layout, name: str, heads: Sequence[Head], moved: dict[Version, Place]) -> int:
    prefix = "" if layout.current is layout.root else f"{OWN}/{CURRENT}/"
    output = Output(File(folder.create(name), prefix + name, "current"))
    for head in sorted(heads, key=lambda head: head.version.key.id):
        version = head.version
        if version.place is not None:
            json = version.place.read()
            line = json.replace(b"\n", b" ").replace(b"\r", b" ")
            offset = output.add(line, b"\n")
            # What was of several lines is kept as it was among the history.
            if line == json:
                moved[version] = version.place._replace(file=output.file, offset=offset)
    output.finish()
    return output.end


def _write_history(layout: Layout, picture: Picture, moved: dict[Version, Place]) -> None:
    name = history_file(picture.generation)
    output: Output | None = None
    histories = {each.place.file.name for each in picture.log if each.place and each.place.file.kind == "history"}
    # Each is a file that is open; when there are many, they become one.
    kinds = {"journal", "current", "history"} if len(histories) >= _MOST_HISTORIES else {"journal", "current"}
    shown = {head.version for heads in picture.heads.values() for head in heads}
    for version in picture.log:
        place = version.place
        if place is None or version in moved or place.file.kind not in kinds:
            continue
        if version in shown and place.file.kind == "current":
            continue
        if output is None:
            output = Output(File(layout.history.create(name), f"{OWN}/{HISTORY}/{name}", "history"))
        entry = Entry(version.key, version.number, place.read(), None)
        laid = lay_out(0, version.seq, version.at, [entry])
        offset = output.add(sealed(laid.payload)) + laid.places[0][0]  # type: ignore[index]  # it has JSON
        moved[version] = place._replace(file=output.file, offset=offset)
    if output is not None:
        output.finish()
        layout.history.sync()


def _is_foreign(version: Version) -> bool:
    return version.place is not None and version.place.file.kind == "foreign"


def _is_current(version: Version) -> bool:
    return version.place is not None and version.place.file.kind == "current"
