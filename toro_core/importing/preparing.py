"""Resources as read to what a commit takes: checked, laid out, and with index rows. Needs no storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from toro_core.definitions import Definitions
from toro_core.errors import Issue, ToroError
from toro_core.importing.sources import Incoming, Refused
from toro_core.json import JsonObject
from toro_core.resources import body, new_id, parse_name
from toro_core.search.extract import Extractor
from toro_core.storage import Body, Key, Rows
from toro_core.validation import Validator

__all__ = ["Prepared", "Preparer", "key_of", "told"]

_SHOWN: Final = 3


class Prepared(NamedTuple):
    """A batch made ready: what is to be written, what is `refused`, and what is written although it breaks the definitions."""

    writes: list[tuple[Key, Body, Rows]]
    refused: list[Refused]
    warned: list[Refused]


class Preparer:
    """Makes batches ready. What breaks the definitions is told, or with `strict` refused."""

    def __init__(
        self, definitions: Definitions, extractor: Extractor, *, strict: bool, validator: Validator | None = None
    ) -> None:
        """Go by these definitions; without a validator nothing is checked but what storing needs."""
        self._definitions = definitions
        self._extractor = extractor
        self._validator = validator
        self._strict = strict

    def prepare(self, batch: Sequence[Incoming], unread: Sequence[Refused] = ()) -> Prepared:
        """Make a batch ready; `unread` are those of it that could not be read."""
        prepared = Prepared([], [*unread], [])
        for incoming in batch:
            self._add(incoming, prepared)
        return prepared

    def _add(self, incoming: Incoming, prepared: Prepared) -> None:
        resource = incoming.resource
        try:
            key = key_of(incoming, self._definitions)
            laid_out = body(resource, key.id)
        except ToroError as error:
            prepared.refused.append(told(incoming, error))
            return
        issues = self._broken(resource)
        if issues and self._strict:
            prepared.refused.append(told(incoming, issues))
            return
        try:
            rows = self._extractor.rows(resource)
        except Exception:
            if not issues and self._validator is not None:
                raise
            # What has another shape than its definition cannot be indexed.
            issues = issues or (Issue(code="structure", diagnostics="is not shaped as its definition says."),)
            prepared.refused.append(told(incoming, issues))
            return
        if issues:
            prepared.warned.append(told(incoming, issues))
        prepared.writes.append((key, laid_out, rows))

    def _broken(self, resource: JsonObject) -> tuple[Issue, ...]:
        """Return the errors of a resource; warnings are of no interest to who moves data."""
        if self._validator is None:
            return ()
        report = self._validator.validate(resource)
        return tuple(issue for issue in report.issues if issue.severity == "error") if report.broken else ()


def key_of(incoming: Incoming, definitions: Definitions) -> Key:
    """Return a resource's key, with a new id where it has none. Raises InvalidArgument, UnsupportedType."""
    resource = incoming.resource
    return parse_name(f"{resource.get('resourceType')}/{resource.get('id') or new_id()}", definitions.resource_types)


class _Issue(Protocol):
    @property
    def diagnostics(self) -> str:
        """What happened."""


def told(incoming: Incoming, why: ToroError | Sequence[_Issue]) -> Refused:
    """Say of a resource what is wrong with it."""
    issues: Sequence[_Issue] = why.issues if isinstance(why, ToroError) else why
    text = "; ".join(issue.diagnostics for issue in issues[:_SHOWN])
    more = len(issues) - _SHOWN
    return Refused(place=incoming.place, why=f"{text}; and {more} more" if more > 0 else text)
