"""What a commit relies on, judged for storages that know their resources in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from toro_core.errors import (
    AlreadyExists,
    ConditionChanged,
    Gone,
    NotFound,
    PreconditionFailed,
    StateConflict,
    StillReferenced,
    TargetMissing,
)
from toro_core.search.plan import Criterion
from toro_core.storage import Absent, Key, StateRecord, Version, Write

__all__ = ["Known", "judge_after", "judge_before", "judge_revision", "judge_write"]

_REFERRERS: Final = 10
"""Referrers named at most."""


class Known(Protocol):
    """The current resources as a commit finds them, its own writes included once it has made them."""

    def exists(self, key: Key) -> bool:
        """Say whether there is such a resource and it is not deleted."""

    def holding(self, type_: str, criterion: Criterion) -> Sequence[Key]:
        """Name the resources of a type for which a criterion without Chain and Has holds."""

    def referring(self, key: Key) -> Iterable[Key]:
        """Name the resources with a reference row to this one; one may come more than once."""


def judge_before(writes: Sequence[Write], known: Known) -> None:
    """Judge conditions, before the first write. Raises ConditionChanged."""
    for condition in (condition for write in writes for condition in write.conditions):
        found = known.holding(condition.type, condition.criterion)
        if list(found) != ([] if condition.finds is None else [condition.finds]):
            raise ConditionChanged


def judge_write(write: Write, number: int, exists: bool) -> None:
    """Judge one write on a resource whose last version is `number`, 0 where it never existed.

    Raises AlreadyExists, PreconditionFailed, NotFound, Gone.
    """
    match write.expect:
        case Absent() if exists:
            raise AlreadyExists(f"{write.key} exists; update it instead")
        case Version(expected) if not exists or number != expected:
            raise PreconditionFailed(f"{write.key} is not at version {expected}; read it again and repeat the change")
    if write.body is None and not exists:
        raise Gone if number else NotFound


def judge_after(writes: Sequence[Write], known: Known) -> None:
    """Judge targets and referrers, after the last write. Raises TargetMissing, StillReferenced."""
    for target in (target for write in writes for target in write.targets):
        if not known.exists(target):
            raise TargetMissing(str(target))
    for write in writes:
        if write.unreferenced:
            referrers = list(dict.fromkeys(str(key) for key in known.referring(write.key) if key != write.key))
            if referrers:
                raise StillReferenced(str(write.key), referrers[:_REFERRERS])


def judge_revision(record: StateRecord | None, if_revision: int | None) -> None:
    """Judge a change of a live state record. Raises StateConflict."""
    if if_revision is not None and if_revision != (record.revision if record else 0):
        raise StateConflict
