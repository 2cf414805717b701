"""FHIR $everything: a patient's record, in pages or as a stream. https://hl7.org/fhir/R4/patient-operation-everything.html"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from toro_core.caller import Caller
from toro_core.operations.contract import (
    InvalidArguments,
    Invocation,
    OperationFacts,
    ParameterFacts,
    ResultPage,
)
from toro_core.operations.record import Ground, Walk
from toro_core.operations.trail import Trail
from toro_core.operations.wanted import Wanted
from toro_core.reading import Reader
from toro_core.rejections import NotExposed
from toro_core.search.paging import InvalidPageToken, PageState, PageTokens
from toro_core.search.query import Parameter
from toro_core.storage import Key, Stored

__all__ = ["Everything"]

_COUNT: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_BATCH: Final = 200
_PAGE_BYTES: Final = 3_500_000
_STEP_BYTES: Final = 1 << 20
_EXAMINED: Final = 5_000
"""Resources that one page looks at, where few of them are of the types asked for."""
_TRAIL: Final = "_trail"


class Everything:
    """Fetches records."""

    facts: Final = OperationFacts(
        code="everything",
        url="http://hl7.org/fhir/OperationDefinition/Patient-everything",
        levels=("instance",),
        types=("Patient",),
        parameters=(
            ParameterFacts(name="start", type="date"),
            ParameterFacts(name="end", type="date"),
            ParameterFacts(name="_since", type="instant"),
            ParameterFacts(name="_type", type="code", max=None),
            ParameterFacts(name="_count", type="integer"),
        ),
        permissions="rs",
    )

    def __init__(self, ground: Ground, tokens: PageTokens, *, page_size_max: int) -> None:
        """Walk on this ground; a page has at most `page_size_max` resources."""
        self._ground = ground
        self._tokens = tokens
        self._most = page_size_max

    async def invoke(self, invocation: Invocation) -> ResultPage:
        """Answer a page. Raises InvalidArguments, InvalidPageToken."""
        given = invocation.arguments
        count = given.text("_count")
        if count and not _COUNT.fullmatch(count):
            raise InvalidArguments("_count is not a positive whole number.")
        wanted = Wanted(
            patient=invocation.id,
            start=given.text("start"),
            end=given.text("end"),
            since=given.text("_since"),
            types=tuple(dict.fromkeys(name for text in given.texts.get("_type", ()) for name in text.split(","))),
        )
        walk, size = await self.walk(invocation.caller, wanted, invocation.readable, invocation.page_token)
        return await self._page(walk, min(int(count or size or self._most), self._most))

    async def check(self, caller: Caller, reader: Reader, patient: str, readable: frozenset[str] | None) -> None:
        """Raise Forbidden, NotFound, Gone or NotExposed where the caller may not see this patient."""
        if readable is not None and "Patient" not in readable:
            raise NotExposed("Patient is not offered here.")
        self._ground.access.decide(caller, "Patient", self.facts.permissions)
        await reader.read(caller, Key("Patient", patient), None)

    async def walk(
        self, caller: Caller, wanted: Wanted, readable: frozenset[str] | None, page_token: str
    ) -> tuple[Walk, int]:
        """Begin a walk, or go on from a token; return the page size that the token carries too, else 0.

        Raises InvalidArguments, InvalidPageToken.
        """
        trail = Trail(self._ground.storage)
        if not page_token:
            wanted.check(self._ground.extractor, readable)
            return Walk(ground=self._ground, caller=caller, wanted=wanted, readable=readable, trail=trail), 0
        state = await self._tokens.open(page_token, caller.client_id)
        if (state.kind, state.id) != ("everything", wanted.patient):
            raise InvalidPageToken("The page token belongs to another request; follow the links as they were given.")
        values = {parameter.code: parameter.values for parameter in state.parameters}
        name, served, size = values.pop(_TRAIL)
        await trail.load(name)
        found = Wanted(
            patient=wanted.patient,
            start="".join(values.get("start", ())),
            end="".join(values.get("end", ())),
            since="".join(values.get("_since", ())),
            types=values.get("_type", ()),
        )
        walk = Walk(
            ground=self._ground,
            caller=caller,
            wanted=found,
            readable=readable,
            trail=trail,
            served=int(served),
            position=state.cursor,
        )
        return walk, int(size)

    async def _page(self, walk: Walk, size: int) -> ResultPage:
        matches: list[Stored] = []
        included: list[Stored] = []
        whole = walk.served == 0 and walk.position == ("Patient",)
        async for part in self.parts(walk, size):
            matches += part.matches
            included += part.included
        return ResultPage(
            matches=matches,
            included=included,
            next_page_token="" if walk.done else await self.token(walk, size),
            total=len(matches) if walk.done and whole else None,
            issues=walk.issues(),
            applied=_applied(walk.wanted, size if size < self._most else 0),
        )

    async def parts(self, walk: Walk, size: int) -> AsyncIterator[ResultPage]:
        """Go on by `size` resources or about 3.5 MB, in parts of about 1 MiB; without a size to the end."""
        left, room, last = size, _PAGE_BYTES, walk.examined + _EXAMINED
        while not walk.done and (not size or (left > 0 and room >= _STEP_BYTES and walk.examined < last)):
            step = await walk.step(min(left, _BATCH) if size else _BATCH)
            left -= len(step.matches) + len(step.included)
            room -= sum(len(stored.json) for part in (step.matches, step.included) for stored in part)
            yield ResultPage(matches=step.matches, included=step.included)

    async def token(self, walk: Walk, size: int) -> str:
        """Seal where a walk stands."""
        trail = (await walk.trail.keep(), str(walk.served), str(size))
        state = PageState(
            kind="everything",
            type="Patient",
            id=walk.wanted.patient,
            parameters=(*_applied(walk.wanted, 0), Parameter(code=_TRAIL, values=trail)),
            cursor=walk.position,
            client=walk.caller.client_id,
        )
        return await self._tokens.seal(state)


def _applied(wanted: Wanted, size: int) -> tuple[Parameter, ...]:
    given = {
        "start": (wanted.start,),
        "end": (wanted.end,),
        "_since": (wanted.since,),
        "_type": wanted.types,
        "_count": (str(size) if size else "",),
    }
    return tuple(Parameter(code=code, values=values) for code, values in given.items() if any(values))
