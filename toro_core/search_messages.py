"""Searches between the wire and the core."""

from __future__ import annotations

from typing import Final

from toro_core.rejections import InvalidArgument
from toro_core.resources import fill, known_type, parse_name
from toro_core.search.request import Search
from toro_core.searching import Found
from toro_core.status import issue_message
from toro_core.v1 import Interaction, SearchMode, SearchParameter, SearchResourcesRequest, SearchResourcesResponse
from toro_core.write_requests import parameters

__all__ = ["asked_search", "search_answer"]

# Looked up once: names of enumerations are looked up by name each time.
_MATCH: Final = SearchMode.SEARCH_MODE_MATCH
_INCLUDE: Final = SearchMode.SEARCH_MODE_INCLUDE


def asked_search(request: SearchResourcesRequest, types: frozenset[str], *, lenient: bool) -> Search:
    """Return what a request asks for. Raises UnsupportedType, InvalidArgument."""
    if request.page_token and request.parameters:
        raise InvalidArgument("A page token comes alone; the parameters are part of it.")
    return Search(
        type=known_type(request.resource_type, types) if request.resource_type else "",
        compartment=parse_name(request.compartment, types) if request.compartment else None,
        parameters=parameters(request.parameters),
        lenient=lenient,
        readable=_exposed(request, Interaction.INTERACTION_READ),
        searchable=_exposed(request, Interaction.INTERACTION_SEARCH_TYPE),
    )


def search_answer(found: Found, max_bytes: int) -> SearchResourcesResponse:
    """Render a page for the wire; a resource larger than `max_bytes` comes without its JSON."""
    answer = SearchResourcesResponse(
        next_page_token=found.next_page_token,
        previous_page_token=found.previous_page_token,
        issues=[issue_message(issue) for issue in found.issues],
        applied=[SearchParameter(code=one.code, modifier=one.modifier, values=one.values) for one in found.applied],
    )
    if found.total is not None:
        answer.total = found.total
    for mode, resources in ((_MATCH, found.matches), (_INCLUDE, found.included)):
        for stored in resources:
            entry = answer.entries.add()
            entry.mode = mode
            fill(entry.resource, stored, max_bytes=max_bytes)
    return answer


def _exposed(request: SearchResourcesRequest, interaction: Interaction) -> frozenset[str] | None:
    if not request.HasField("exposure"):
        return None
    return frozenset(one.resource_type for one in request.exposure.types if interaction in one.interactions)
