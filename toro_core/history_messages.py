"""Histories between the wire and the core."""

from __future__ import annotations

from toro_core.histories import Asked, History
from toro_core.rejections import InvalidArgument
from toro_core.resources import fill, known_type, parse_name
from toro_core.settings import Settings
from toro_core.v1 import Interaction, ListVersionsRequest, ListVersionsResponse

__all__ = ["asked_history", "history_answer"]


def asked_history(request: ListVersionsRequest, types: frozenset[str], settings: Settings) -> Asked:
    """Return what a request asks for. Raises UnsupportedType, InvalidArgument."""
    if request.name and request.resource_type:
        raise InvalidArgument("name and resource_type are both given; leave one of them out.")
    if request.page_size < 0:
        raise InvalidArgument("page_size is negative; leave it out or send a positive number.")
    if request.page_token and (request.since or request.at):
        raise InvalidArgument("A page token comes without since and at; they are part of it.")
    return Asked(
        key=parse_name(request.name, types) if request.name else None,
        type=known_type(request.resource_type, types) if request.resource_type else "",
        since=request.since,
        at=request.at,
        limit=min(request.page_size or settings.page_size, settings.page_size_max),
        page_token=request.page_token,
        exposed=_exposed(request, types),
    )


def history_answer(found: History, max_bytes: int) -> ListVersionsResponse:
    """Render a page for the wire; a version larger than `max_bytes` comes without its JSON."""
    answer = ListVersionsResponse(next_page_token=found.next_page_token)
    for stored in found.versions:
        fill(answer.versions.add(), stored, max_bytes=max_bytes)
    if found.total is not None:
        answer.total = found.total
    return answer


def _exposed(request: ListVersionsRequest, types: frozenset[str]) -> frozenset[str] | None:
    if not request.HasField("exposure"):
        return None
    named = {
        one.resource_type for one in request.exposure.types if Interaction.INTERACTION_HISTORY_TYPE in one.interactions
    }
    return types & named
