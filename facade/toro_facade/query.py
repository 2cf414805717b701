"""Splitting of query strings and forms; what the parts mean is the core's business. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from toro_core.v1 import SearchParameter
from toro_facade.outcome import Refused

__all__ = ["Pair", "alternatives", "conditions", "joined", "pairs", "parameter", "quoted"]

Pair: TypeAlias = tuple[str, str]

_BROKEN: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SAFE: Final = "-._~,:/$"
_ALTERNATIVE: Final = re.compile(r"((?:[^\\,]|\\.)*\\?)(,|\Z)", re.DOTALL)


def pairs(text: bytes) -> list[Pair]:
    """Split a query string or form into decoded names and values. Raises Refused (400) where it is not UTF-8, percent-encoded."""
    found = []
    for part in text.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            found.append((_decoded(name), _decoded(value)))
    return found


def parameter(name: str, value: str) -> SearchParameter:
    """Split `code:modifier=a,b`; escapes stay in the values, for the core."""
    code, _, modifier = name.partition(":")
    if not code:
        raise Refused(400, "invalid", "A search parameter has no name; write name=value.")
    return SearchParameter(code=code, modifier=modifier, values=alternatives(value))


def conditions(given: Sequence[Pair]) -> list[SearchParameter]:
    """Split the search of a conditional interaction. Raises Refused (400) where it is empty."""
    found = [parameter(name, value) for name, value in given]
    if not found:
        raise Refused(400, "required", "A conditional interaction needs a search; say at least one parameter.")
    return found


def alternatives(value: str) -> list[str]:
    r"""Split at commas that no backslash escapes."""
    if "\\" not in value:
        return value.split(",")
    return [match[1] for match in _alternatives(value)]


def joined(applied: SearchParameter) -> str:
    """Write a parameter as it stands in a link."""
    name = f"{applied.code}:{applied.modifier}" if applied.modifier else applied.code
    return f"{quoted(name)}={quoted(','.join(applied.values))}"


def quoted(text: str) -> str:
    """Percent-encode what stands in a link's query."""
    return quote(text, safe=_SAFE)


def _alternatives(value: str) -> list[re.Match[str]]:
    found = []
    position = 0
    while match := _ALTERNATIVE.match(value, position):
        found.append(match)
        if not match[2]:
            break
        position = match.end()
    return found


def _decoded(part: bytes) -> str:
    if _BROKEN.search(part):
        raise Refused(400, "invalid", "The query is not percent-encoded: % is not followed by two hexadecimal digits.")
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(400, "invalid", "The query is not UTF-8; percent-encode it as UTF-8.") from None
