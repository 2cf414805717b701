"""The operations of a server: its own and those of plugins, found by their code and by what they are invoked on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from toro_core.access import Access
from toro_core.caller import Caller
from toro_core.operations.acting import Acting
from toro_core.operations.arguments import arguments
from toro_core.operations.contract import (
    Answer,
    Invocation,
    Level,
    Operation,
    OperationFacts,
    ResultPage,
)
from toro_core.reading import Reader
from toro_core.rejections import NotExposed, UnknownOperation
from toro_core.storage import Key

__all__ = ["Invoked", "Operations", "check_operations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoked:
    """What a caller invokes, not yet understood. `key` is the resource, or has no id, or neither type nor id."""

    code: str
    key: Key
    given: Sequence[tuple[str, str]] = ()
    parameters: bytes = b""
    page_token: str = ""
    base_url: str = ""
    readable: frozenset[str] | None = None
    creatable: frozenset[str] | None = None
    lenient: bool = False


class Operations:
    """Finds operations and invokes them for callers."""

    def __init__(
        self, own: Iterable[Operation], of_plugins: Iterable[Operation], reader: Reader, access: Access, acting: Acting
    ) -> None:
        """Take the core's own and those of plugins."""
        self.own: Final = tuple(own)
        self.of_plugins: Final = tuple(of_plugins)
        self._reader = reader
        self._access = access
        self._acting = acting

    async def invoke(self, caller: Caller, invoked: Invoked) -> ResultPage | Answer:
        """Invoke an operation. Raises UnknownOperation, InvalidArguments, Forbidden, NotFound, Gone and what it raises itself."""
        key = invoked.key
        level: Level = "instance" if key.id else "type" if key.type else "system"
        operation = self._find(invoked.code, level, key.type)
        if key.type and invoked.readable is not None and key.type not in invoked.readable:
            raise NotExposed(f"{key.type} is not offered here.")
        facts = operation.facts
        if facts.permissions:
            self._access.decide(caller, key.type or "*", facts.permissions)
        given, issues = arguments(
            facts, invoked.given, invoked.parameters, lenient=invoked.lenient, whole=not invoked.page_token
        )
        target = await self._reader.read(caller, key, None) if key.id and facts.permissions else None
        result = await operation.invoke(
            Invocation(
                level=level,
                type=key.type,
                id=key.id,
                target=target,
                arguments=given,
                resources=self._acting.of(caller, invoked.readable, invoked.creatable),
                caller=caller,
                base_url=invoked.base_url,
                readable=invoked.readable,
                creatable=invoked.creatable,
                page_token=invoked.page_token,
            )
        )
        if issues and isinstance(result, ResultPage):
            return replace(result, issues=(*issues, *result.issues))
        return result

    def _find(self, code: str, level: Level, resource_type: str) -> Operation:
        for operation in (*self.own, *self.of_plugins):
            facts = operation.facts
            if facts.code == code and level in facts.levels and _takes(facts, resource_type):
                return operation
        raise UnknownOperation


def check_operations(own: Sequence[Operation], of_plugins: Sequence[Operation]) -> str:
    """Return what is wrong with what plugins add, "" for nothing."""
    taken = [operation.facts for operation in own]
    for operation in of_plugins:
        facts = operation.facts
        if any(_collide(facts, other) for other in taken):
            return f"two operations are called ${facts.code} on the same resources"
        taken.append(facts)
    return ""


def _takes(facts: OperationFacts, resource_type: str) -> bool:
    return not resource_type or not facts.types or resource_type in facts.types


def _collide(one: OperationFacts, other: OperationFacts) -> bool:
    types = not one.types or not other.types or bool(set(one.types) & set(other.types))
    return one.code == other.code and types and bool(set(one.levels) & set(other.levels))
