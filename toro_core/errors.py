"""What a storage raises. The core maps each `reason` to a gRPC status in `toro_core.status`, nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = [
    "AlreadyExists",
    "ConditionChanged",
    "Damaged",
    "Gone",
    "Issue",
    "NotFound",
    "OutcomeUnknown",
    "PreconditionFailed",
    "Severity",
    "StateConflict",
    "StillReferenced",
    "StorageBusy",
    "StorageError",
    "StorageFull",
    "TargetMissing",
    "TooCostly",
    "ToroError",
    "Unsupported",
]

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One OperationOutcome.issue: https://hl7.org/fhir/R4/operationoutcome.html

    `code` is of the value set issue-type; `expressions` are FHIRPath places such as `Observation.component[1].code`.
    `diagnostics` names the thing and the remedy and never quotes a value of a resource.
    """

    severity: Severity = "error"
    code: str
    diagnostics: str
    expressions: tuple[str, ...] = ()


class ToroError(Exception):
    """The request failed."""

    reason: ClassVar[str] = "INTERNAL"
    """ErrorInfo.reason: stable, machine-readable."""
    issue: ClassVar[str] = "exception"
    """OperationOutcome.issue.code of the issue made from the message where no issues are given."""

    issues: tuple[Issue, ...]

    def __init__(self, message: str | None = None, *, issues: tuple[Issue, ...] = ()) -> None:
        """Carry a message, or the issues that say it place by place; without either, the class docstring's first line."""
        text = message or (issues[0].diagnostics if issues else (type(self).__doc__ or "").partition("\n")[0])
        super().__init__(text)
        self.issues = issues or (Issue(code=self.issue, diagnostics=text),)


class StorageError(ToroError):
    """The storage could not do this."""


class NotFound(StorageError):
    """No such resource or version."""

    reason = "RESOURCE_NOT_FOUND"
    issue = "not-found"


class Gone(StorageError):
    """The resource was deleted; read a past version."""

    reason = "RESOURCE_DELETED"
    issue = "deleted"


class PreconditionFailed(StorageError):
    """The resource is at another version than the one expected; read it again and repeat the change."""

    reason = "VERSION_CONFLICT"
    issue = "conflict"


class AlreadyExists(StorageError):
    """A resource with this id exists; update it instead."""

    reason = "ALREADY_EXISTS"
    issue = "duplicate"


class ConditionChanged(StorageError):
    """A condition of this write no longer holds; resolve it again."""

    reason = "CONDITION_CHANGED"
    issue = "conflict"


class StillReferenced(StorageError):
    """Other resources refer to this one; delete or change them first."""

    reason = "STILL_REFERENCED"
    issue = "conflict"

    def __init__(self, key: str, referrers: Sequence[str], *, issues: tuple[Issue, ...] = ()) -> None:
        """Name the resource and at most ten that refer to it, each as `Type/id`."""
        named = ", ".join(referrers)
        super().__init__(f"{key} is still referred to, by {named}; delete or change them first", issues=issues)
        self.key = key
        self.referrers = tuple(referrers)


class TargetMissing(StorageError):
    """A reference leads to a resource that does not exist; create it first, or in the same transaction."""

    reason = "TARGET_MISSING"
    issue = "not-found"

    def __init__(self, target: str, *, issues: tuple[Issue, ...] = ()) -> None:
        """Name the resource that is missing, as `Type/id`."""
        text = f"a reference leads to {target}, which does not exist; create it first, or in the same transaction"
        super().__init__(text, issues=issues)
        self.target = target


class StateConflict(StorageError):
    """The state record is at another revision than the one expected."""

    reason = "STATE_CONFLICT"
    issue = "conflict"


class Unsupported(StorageError):
    """This storage cannot do this."""

    reason = "UNSUPPORTED"
    issue = "not-supported"


class TooCostly(StorageError):
    """The search would take too much work; narrow it."""

    reason = "TOO_COSTLY"
    issue = "too-costly"


class StorageBusy(StorageError):
    """The storage is busy or cannot be reached; try again."""

    reason = "STORAGE_UNAVAILABLE"
    issue = "transient"


class OutcomeUnknown(StorageBusy):
    """The storage was lost at the commit, and whether it was written cannot be told; read before you repeat it."""

    reason = "OUTCOME_UNKNOWN"
    issue = "timeout"


class StorageFull(StorageError):
    """The storage has no space left; nothing was written."""

    reason = "STORAGE_FULL"
    issue = "no-store"


class Damaged(StorageError):
    """The stored data is damaged and was not served; restore it from a backup."""

    reason = "STORAGE_DAMAGED"
    issue = "exception"
