"""FHIR history of a resource, a type and the system, in the core. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from toro_core.access import Access, Decision, Forbidden
from toro_core.caller import Caller
from toro_core.errors import NotFound, Unsupported
from toro_core.reading import Reader, missing
from toro_core.rejections import InvalidArgument
from toro_core.search.dates import InvalidDate, interval
from toro_core.search.paging import InvalidPageToken, PageState, PageTokens
from toro_core.search.query import Parameter
from toro_core.storage import Capability, HistoryPlan, Key, Page, Storage, Stored

__all__ = ["Asked", "Histories", "History", "granted_types"]

_MAX_BYTES: Final = 3_500_000
_NEEDED: Final[frozenset[Capability]] = frozenset(("history", "ordered_changes"))
_MICROS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose versions: those of `key`, else of `type`, else of all types, of which only those in `exposed` where that is given.

    `since` and `at` are FHIR dateTimes, empty for none; with a page token both are part of it.
    """

    key: Key | None = None
    type: str = ""
    since: str = ""
    at: str = ""
    limit: int
    page_token: str = ""
    exposed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One page, newest first; `total` is known where the page is the only one."""

    versions: Sequence[Stored]
    next_page_token: str
    total: int | None


class Histories:
    """Lists versions a caller may see. What lies outside a granular grant is as if it did not exist."""

    def __init__(
        self, storage: Storage, reader: Reader, access: Access, tokens: PageTokens, types: frozenset[str]
    ) -> None:
        """List those of this storage; `types` are all there are."""
        self._storage = storage
        self._reader = reader
        self._access = access
        self._tokens = tokens
        self._types = types

    async def page(self, caller: Caller, asked: Asked) -> History:
        """Return a page. Raises Forbidden, NotFound, InvalidArgument, InvalidPageToken, Unsupported."""
        type_, id_ = (asked.key.type, asked.key.id) if asked.key else (asked.type, "")
        state = await self._tokens.open(asked.page_token, caller.client_id) if asked.page_token else None
        if state and (state.kind, state.type, state.id) != ("history", type_, id_):
            raise InvalidPageToken("The page token belongs to another request; follow the links as they were given.")
        parameters = state.parameters if state else _parameters(asked)
        decisions = self._decisions(caller, asked)
        # The cut in time stays as it was asked for; what the caller may see is decided anew for each page.
        plan = _narrowed(
            HistoryPlan(
                key=asked.key,
                types=() if asked.key else self._named(decisions),
                limit=asked.limit,
                max_bytes=_MAX_BYTES,
                cursor=state.cursor if state else None,
            ),
            parameters,
        )
        page = await self._seen(caller, plan, decisions)
        if asked.key and not page.resources and state is None:
            await self._check_known(caller, asked.key, plan, decisions)
        token = ""
        if page.cursor is not None:
            following = PageState(
                kind="history",
                type=type_,
                id=id_,
                parameters=parameters,
                cursor=page.cursor,
                client=caller.client_id,
            )
            token = await self._tokens.seal(following)
        total = len(page.resources) if state is None and not token else None
        return History(versions=page.resources, next_page_token=token, total=total)

    def _decisions(self, caller: Caller, asked: Asked) -> Mapping[str, Decision]:
        if asked.key:
            return {asked.key.type: self._access.decide(caller, asked.key.type, "r")}
        if not self._storage.capabilities >= _NEEDED:
            raise Unsupported("This storage has no history of more than one resource; ask for each resource's own.")
        if asked.type:
            return {asked.type: self._access.decide(caller, asked.type, "s")}
        return granted_types(self._access, caller, self._types if asked.exposed is None else asked.exposed)

    def _named(self, decisions: Mapping[str, Decision]) -> tuple[str, ...]:
        return () if len(decisions) == len(self._types) else tuple(sorted(decisions))

    async def _seen(self, caller: Caller, plan: HistoryPlan, decisions: Mapping[str, Decision]) -> Page:
        """Take pages until there is something on one: a page of hidden versions alone would tell that there are some."""
        while True:
            try:
                page = await self._storage.history(plan)
            except NotFound:
                if plan.key is None:
                    raise
                raise missing(plan.key) from None
            seen = [one for one in page.resources if await self._reader.sees(caller, decisions[one.key.type], one)]
            if seen or page.cursor is None:
                return Page(resources=seen, cursor=page.cursor)
            plan = replace(plan, cursor=page.cursor)

    async def _check_known(
        self, caller: Caller, key: Key, plan: HistoryPlan, decisions: Mapping[str, Decision]
    ) -> None:
        """Raise NotFound unless there is any version that the caller sees, whenever it was written."""
        anytime = replace(plan, since=None, until=None, current_after=None)
        if anytime == plan or not (await self._seen(caller, anytime, decisions)).resources:
            raise missing(key)


def granted_types(access: Access, caller: Caller, types: frozenset[str]) -> Mapping[str, Decision]:
    """Return what the caller may see of those types that it may search. Raises Forbidden where there are none."""
    decisions = {}
    for type_ in types:
        try:
            decisions[type_] = access.decide(caller, type_, "s")
        except Forbidden:
            continue
    if not decisions:
        raise Forbidden("system/*.s")
    return decisions


def _parameters(asked: Asked) -> tuple[Parameter, ...]:
    given = (("_since", asked.since), ("_at", asked.at))
    return tuple(Parameter(code=code, modifier="", values=(text,)) for code, text in given if text)


def _narrowed(plan: HistoryPlan, parameters: Sequence[Parameter]) -> HistoryPlan:
    """Read `_since` and `_at`, times in microseconds, in the milliseconds of a plan."""
    for parameter in parameters:
        try:
            low, high = interval(parameter.values[0])
        except InvalidDate:
            text = (
                f"{parameter.code} is no FHIR dateTime; write one, as in 2026-01-31T08:00:00Z, its + as %2B in a URL."
            )
            raise InvalidArgument(text) from None
        if parameter.code == "_since":
            plan = replace(plan, since=-(-low // _MICROS))
        else:
            plan = replace(plan, until=-(-high // _MICROS), current_after=low // _MICROS)
    return plan
