"""Reading and writing of the conditional headers. https://hl7.org/fhir/R4/http.html#cread, RFC 9110 section 13"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from typing import Final

from toro_facade.outcome import Refused

__all__ = ["excluded_versions", "expected_version", "http_date", "matches", "modified_since", "preferences"]

_TAG: Final = re.compile(r'(?:W/)?"([A-Za-z0-9\-.]{1,64})"')
_ANY_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


def expected_version(if_match: str) -> str:
    """Turn If-Match into the one entity tag an update expects; empty where any version will do. Raises Refused (400)."""
    text = if_match.strip()
    if text in ("", "*"):
        return ""
    match = _TAG.fullmatch(text)
    if not match:
        raise Refused(400, "invalid", 'If-Match is not one entity tag; send the ETag that was read, as in W/"3".')
    return f'W/"{match[1]}"'


def excluded_versions(if_none_match: str) -> str:
    """Return If-None-Match as the core takes it on an update: `*`, or entity tags. Raises Refused (400)."""
    text = if_none_match.strip()
    if text not in ("", "*") and not all(_TAG.fullmatch(tag.strip()) for tag in text.split(",")):
        raise Refused(400, "invalid", 'If-None-Match is neither * nor a list of entity tags, as in W/"3", W/"4".')
    return text


def matches(if_none_match: str, etag: str) -> bool:
    """Tell whether the client already has the version with this entity tag."""
    if if_none_match.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(tag == opaque for tag in _ANY_TAG.findall(if_none_match))


def modified_since(if_modified_since: str, seconds: int) -> bool:
    """Tell whether something stored at `seconds` is newer than the date; a date that cannot be read is ignored."""
    try:
        since = parsedate_to_datetime(if_modified_since)
        known = since.replace(tzinfo=since.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return True
    return seconds > known


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> bytes:
    """Render a time as Last-Modified has it."""
    return formatdate(seconds, usegmt=True).encode("ascii")


@lru_cache(maxsize=256)
def preferences(prefer: str) -> dict[str, str]:
    """Read Prefer (RFC 7240): names in lower case, values as sent; the first of a name counts."""
    found: dict[str, str] = {}
    for part in re.split(r"[,;]", prefer):
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found
