"""US Core $docref: the documents of a patient. http://hl7.org/fhir/us/core/OperationDefinition/docref

Documents that are stored and current, newest first; none is made on demand. Their dates of care are those of `context.period`, of
a document without one its own date.
"""

from __future__ import annotations

from typing import Final

from toro_core.access import Access
from toro_core.errors import Issue
from toro_core.operations.contract import (
    InvalidArguments,
    Invocation,
    OperationFacts,
    ParameterFacts,
    ResultPage,
)
from toro_core.search.combine import all_of, any_of
from toro_core.search.dates import InvalidDate, interval
from toro_core.search.paging import InvalidPageToken, PageState, PageTokens
from toro_core.search.parse import NEWEST_FIRST, SearchParser
from toro_core.search.plan import Criterion, SearchPlan
from toro_core.search.query import Parameter
from toro_core.storage import Storage

__all__ = ["DocRef"]

_TYPE: Final = "DocumentReference"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", ",": "\\,", "$": "\\$"})
_SEVERAL: Final = ("type", "profile")
_BYTES: Final = 3_500_000


class DocRef:
    """Finds documents."""

    facts: Final = OperationFacts(
        code="docref",
        url="http://hl7.org/fhir/us/core/OperationDefinition/docref",
        levels=("type",),
        types=(_TYPE,),
        parameters=(
            ParameterFacts(name="patient", type="id", min=1),
            ParameterFacts(name="start", type="dateTime"),
            ParameterFacts(name="end", type="dateTime"),
            ParameterFacts(name="type", type="Coding", max=None),
            ParameterFacts(name="on-demand", type="boolean"),
            ParameterFacts(name="profile", type="canonical", max=None),
        ),
        permissions="rs",
    )

    def __init__(
        self, storage: Storage, parser: SearchParser, access: Access, tokens: PageTokens, *, page_size: int
    ) -> None:
        """Find them in this storage, `page_size` on a page."""
        self._storage = storage
        self._parser = parser
        self._access = access
        self._tokens = tokens
        self._page_size = page_size

    async def invoke(self, invocation: Invocation) -> ResultPage:
        """Answer a page; an unknown patient has no documents. Raises InvalidArguments, InvalidPageToken."""
        given = {
            name: tuple(
                value for text in values for value in (text.split(",") if name in _SEVERAL else [text]) if value
            )
            for name, values in invocation.arguments.texts.items()
            if name != "on-demand"
        }
        cursor = None
        if invocation.page_token:
            state = await self._tokens.open(invocation.page_token, invocation.caller.client_id)
            if state.kind != "docref":
                raise InvalidPageToken("The page token belongs to another request; follow the links as given.")
            given = {parameter.code: parameter.values for parameter in state.parameters}
            cursor = state.cursor
        applied = tuple(Parameter(code=code, values=values) for code, values in given.items())
        if invocation.arguments.flag("on-demand"):
            text = "This server makes no documents on demand; leave on-demand out for those it has."
            issue = Issue(severity="information", code="informational", diagnostics=text)
            asked = Parameter(code="on-demand", values=("true",))
            return ResultPage(matches=(), total=0, issues=(issue,), applied=(*applied, asked))
        clause = self._access.decide(invocation.caller, _TYPE, "rs").clause
        plan = SearchPlan(
            type=_TYPE,
            criterion=all_of((self._criterion(given), clause)),
            sort=NEWEST_FIRST,
            limit=self._page_size,
            max_bytes=_BYTES,
            cursor=cursor,
        )
        page = await self._storage.search(plan)
        token = ""
        if page.cursor is not None:
            client = invocation.caller.client_id
            following = PageState(kind="docref", type=_TYPE, parameters=applied, cursor=page.cursor, client=client)
            token = await self._tokens.seal(following)
        total = len(page.resources) if cursor is None and not token else None
        return ResultPage(matches=page.resources, next_page_token=token, total=total, applied=applied)

    def _criterion(self, given: dict[str, tuple[str, ...]]) -> Criterion:
        criteria = [self._holds("patient", _patient(given["patient"][0])), self._holds("status", "current")]
        limits = [(prefix, name) for prefix, name in (("ge", "start"), ("le", "end")) if name in given]
        for _, name in limits:
            try:
                interval(given[name][0])
            except InvalidDate:
                raise InvalidArguments(f"{name} is no date or time as FHIR writes it.") from None
        if limits:
            values = [f"{prefix}{given[name][0]}" for prefix, name in limits]
            inside = all_of(self._holds("period", value) for value in values)
            without = self._holds("period", "true", modifier="missing")
            dated = all_of((without, *(self._holds("date", value) for value in values)))
            criteria.append(any_of((inside, dated)))
        if types := given.get("type"):
            criteria.append(self._holds("type", *types))
        if profiles := given.get("profile"):
            # A document's profile is what its format names; some say it of the DocumentReference.
            named = [profile.partition("|")[0] for profile in profiles]
            criteria.append(any_of((self._holds("format", *named), self._holds("_profile", *named))))
        return all_of(criteria)

    def _holds(self, code: str, *values: str, modifier: str = "") -> Criterion:
        escaped = tuple(value.translate(_ESCAPES) for value in values)
        return self._parser.parse(_TYPE, [Parameter(code=code, modifier=modifier, values=escaped)]).criterion


def _patient(text: str) -> str:
    local = text if "/" in text else f"Patient/{text}"
    if not local.startswith("Patient/"):
        raise InvalidArguments("patient is the id of a patient, like 123.")
    return local
