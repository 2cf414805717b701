"""Takes over versions of another storage, as they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from toro_core.errors import Unsupported
from toro_core.storage import Loading, Stored
from toro_ndjson.layout import type_file
from toro_ndjson.records import Entry
from toro_ndjson.rows import encoded
from toro_ndjson.staging import Staging

__all__ = ["load"]


def load(staging: Staging, versions: Sequence[Loading]) -> None:
    """Write all of them but those that are there already. Raises Unsupported."""
    for seq, commit in groupby(versions, key=lambda each: each.stored.seq):
        _load(staging, seq, [each for each in commit if not _is_there(staging, each.stored)])


def _load(staging: Staging, seq: int, commit: Sequence[Loading]) -> None:
    if not commit:
        return
    at = commit[0].stored.at
    if seq <= staging.seq or at < staging.written_at or any(each.stored.at != at for each in commit):
        raise _foreign()
    numbers: dict[object, int] = {}
    for stored, _ in commit:
        type_file(stored.key.type)
        last = staging.last(stored.key)
        before = numbers.get(stored.key, 0 if last is None else last.number)
        if stored.version <= before:
            raise _foreign()
        numbers[stored.key] = stored.version
    staging.seq, staging.at = seq, max(staging.at, at)
    staging.write(
        seq,
        at,
        [
            Entry(
                stored.key,
                stored.version,
                None if stored.deleted else stored.json,
                None if rows is None else encoded(rows),
            )
            for stored, rows in commit
        ],
    )


def _is_there(staging: Staging, stored: Stored) -> bool:
    for version in staging.catalog.versions.get(stored.key, ()):
        if version.number == stored.version:
            if version.stored() != stored:
                raise _foreign()
            return True
    return False


def _foreign() -> Unsupported:
    return Unsupported("the storage holds something else than what is being loaded; load into an empty one")
