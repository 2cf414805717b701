"""What a transaction's conditions find: the storage as the transaction would leave it, as far as it is worked out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from toro_core.bundles.places import placed
from toro_core.caller import Caller
from toro_core.json import JsonObject
from toro_core.matching import Matcher
from toro_core.rejections import MultipleMatches
from toro_core.search.evaluate import matches
from toro_core.search.plan import AllOf, Criterion, Token
from toro_core.search.query import Parameter
from toro_core.storage import Condition, Key, Rows, Stored
from toro_core.writing import Drafter

__all__ = ["Finding", "Ground"]

_TURN: Final = 20
"""Conditions after which others on the event loop have their turn."""

_Code: TypeAlias = tuple[str, str, str]
"""Type, parameter, code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a condition finds: a stored resource, or one that the entry `index` writes, or nothing."""

    condition: Condition
    stored: Stored | None = None
    index: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    index: int
    key: Key
    resource: JsonObject
    drafter: Drafter

    @cached_property
    def rows(self) -> Rows:
        """Index it as it was sent, before its references are rewritten."""
        with placed(self.index):
            return self.drafter.lay_out(self.resource, self.key, same_id=False).rows


class Ground:
    """Looks at the storage and at what the entries so far write."""

    def __init__(self, matcher: Matcher, drafter: Drafter, caller: Caller) -> None:
        """Start with nothing written."""
        self._matcher = matcher
        self._drafter = drafter
        self._caller = caller
        self._removed: set[Key] = set()
        self._written: set[Key] = set()
        self._by_type: defaultdict[str, list[_Candidate]] = defaultdict(list)
        self._indexed: defaultdict[str, int] = defaultdict(int)
        self._by_code: defaultdict[_Code, list[_Candidate]] = defaultdict(list)
        self._asked = 0

    def remove(self, key: Key) -> None:
        """Note that the transaction deletes a resource."""
        self._removed.add(key)

    def write(self, index: int, key: Key, resource: JsonObject) -> None:
        """Note what an entry writes."""
        self._written.add(key)
        candidate = _Candidate(index=index, key=key, resource={**resource, "id": key.id}, drafter=self._drafter)
        self._by_type[key.type].append(candidate)

    async def find(self, resource_type: str, parameters: Sequence[Parameter]) -> Finding:
        """Find one or nothing. Raises Forbidden, InvalidSearch, MultipleMatches."""
        self._asked += 1
        if self._asked % _TURN == 0:
            await asyncio.sleep(0)
        match = await self._matcher.match(self._caller, resource_type, parameters)
        stored = match.stored
        if stored is not None and (stored.key in self._removed or stored.key in self._written):
            stored = None
        indexes = [candidate.index for candidate in self._candidates(resource_type, match.condition.criterion)]
        if len(indexes) + (stored is not None) > 1:
            raise MultipleMatches
        return Finding(condition=match.condition, stored=stored, index=indexes[0] if indexes else None)

    def _candidates(self, resource_type: str, criterion: Criterion) -> Iterator[_Candidate]:
        everything = self._by_type[resource_type]
        token = _needed_token(criterion)
        if token is not None:
            self._index(resource_type)
            everything = self._by_code.get((resource_type, token.param, token.code or ""), [])
        for candidate in everything:
            if matches(criterion, candidate.key, 0, candidate.rows):
                yield candidate

    def _index(self, resource_type: str) -> None:
        """Keep the candidates by their codes, so that thousands of conditions do not each look at thousands of them."""
        candidates = self._by_type[resource_type]
        for candidate in candidates[self._indexed[resource_type] :]:
            for param, code in {(row.param, row.code) for row in candidate.rows.tokens}:
                self._by_code[resource_type, param, code].append(candidate)
        self._indexed[resource_type] = len(candidates)


def _needed_token(criterion: Criterion) -> Token | None:
    """Return a code that everything the criterion holds for has to have, if there is one."""
    match criterion:
        case Token(code=str()):
            return criterion
        case AllOf(criteria):
            return next((token for one in criteria if (token := _needed_token(one))), None)
    return None
