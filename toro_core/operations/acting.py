"""What an operation does with resources, it does as its caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toro_core.caller import Caller
from toro_core.changes import Change
from toro_core.errors import NotFound
from toro_core.operations.contract import ResultPage
from toro_core.reading import Reader
from toro_core.rejections import NotExposed
from toro_core.search.query import Parameter
from toro_core.search.request import Search
from toro_core.searching import Searcher
from toro_core.storage import Key, Stored
from toro_core.writing import Writer

__all__ = ["Acting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Makes the resources of an invocation."""

    reader: Reader
    searcher: Searcher
    writer: Writer

    def of(
        self, caller: Caller, readable: frozenset[str] | None, creatable: frozenset[str] | None
    ) -> _CallersResources:
        """Return the resources as this caller may use them, of these types where they are given."""
        return _CallersResources(self, caller, readable, creatable)


class _CallersResources:
    """Implements `toro_core.operations.contract.Resources`."""

    def __init__(
        self, acting: Acting, caller: Caller, readable: frozenset[str] | None, creatable: frozenset[str] | None
    ) -> None:
        self._with = acting
        self._caller = caller
        self._readable = readable
        self._creatable = creatable

    async def read(self, key: Key) -> Stored:
        self._check(key.type, self._readable)
        return await self._with.reader.read(self._caller, key, None)

    async def search(self, resource_type: str, parameters: Sequence[Parameter], page_token: str = "") -> ResultPage:
        self._check(resource_type, self._readable)
        search = Search(type=resource_type, parameters=tuple(parameters), readable=self._readable)
        if page_token:
            found = await self._with.searcher.follow(self._caller, search, page_token)
        else:
            found = await self._with.searcher.search(self._caller, search)
        return ResultPage(
            matches=found.matches,
            included=found.included,
            next_page_token=found.next_page_token,
            total=found.total,
            issues=found.issues,
            applied=found.applied,
        )

    async def put(self, key: Key, json: bytes) -> Stored:
        self._check(key.type, self._creatable)
        change = Change(method="update", type=key.type, id=key.id, content=json, allow_missing=True)
        (done,) = await self._with.writer.change(self._caller, change)
        if done.stored is None:
            raise NotFound
        return done.stored

    def _check(self, resource_type: str, types: frozenset[str] | None) -> None:
        if types is not None and resource_type not in types:
            raise NotExposed(f"{resource_type} is not offered here.")
