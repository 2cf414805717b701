"""The query of a search URL as it stands inside resources: `Practitioner?identifier=…`, `Bundle.entry.request.ifNoneExist`."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

from toro_core.errors import Issue
from toro_core.search.query import InvalidSearch, Parameter
from toro_core.search.values import split_escaped

__all__ = ["parse_query"]

_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parse_query(text: str) -> tuple[Parameter, ...]:
    """Split `name:modifier=a,b&other=c`, percent-encoded UTF-8. Raises InvalidSearch."""
    return tuple(_parameter(part) for part in text.split("&") if part)


def _parameter(part: str) -> Parameter:
    name, _, value = part.partition("=")
    code, _, modifier = _decoded(name).partition(":")
    if not code:
        raise _invalid("A search parameter has no name; write name=value.")
    return Parameter(code=code, modifier=modifier, values=tuple(split_escaped(_decoded(value), ",")))


def _decoded(part: str) -> str:
    if _BROKEN.search(part):
        raise _invalid("The query is not percent-encoded: % is not followed by two hexadecimal digits.")
    try:
        return unquote_plus(part, errors="strict")
    except UnicodeDecodeError:
        raise _invalid("The query is not UTF-8; percent-encode it as UTF-8.") from None


def _invalid(text: str) -> InvalidSearch:
    return InvalidSearch(issues=(Issue(code="invalid", diagnostics=text),))
