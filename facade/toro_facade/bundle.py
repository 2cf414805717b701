"""Bundles joined from the bytes of stored resources: nothing stored is parsed or written anew on its way out.

https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Final, Literal, TypeAlias

import msgspec

from toro_core.v1 import Issue, Resource, SearchEntry, SearchMode
from toro_facade.outcome import outcome

__all__ = ["Link", "history", "searchset", "version_of"]

Link: TypeAlias = tuple[Literal["self", "first", "previous", "next"], str]
"""Relation and absolute URL."""

_encode = msgspec.json.encode
_MATCH: Final = SearchMode.SEARCH_MODE_MATCH  # looked up once: protobuf searches for it each time


def searchset(
    base: str, entries: Iterable[SearchEntry], links: Sequence[Link], total: int | None, issues: Sequence[Issue]
) -> bytes:
    """Join the page of a search; issues become an entry of mode `outcome`."""
    start = b'{"fullUrl":"' + base.encode("ascii") + b"/"
    parts = [
        b"".join(
            (start, entry.resource.name.encode("ascii"), b'","resource":', entry.resource.json, _search_mode(entry))
        )
        for entry in entries
    ]
    if issues:
        parts.append(b'{"resource":' + outcome(issues) + b',"search":{"mode":"outcome"}}')
    return _bundle(b"searchset", links, total, parts)


def history(base: str, versions: Iterable[Resource], links: Sequence[Link], total: int | None) -> bytes:
    """Join the page of a history: https://hl7.org/fhir/R4/http.html#history"""
    return _bundle(b"history", links, total, [_version(base, version) for version in versions])


def version_of(resource: Resource) -> str:
    """Return the version id that an entity tag carries."""
    return resource.etag.removeprefix("W/").strip('"')


def _search_mode(entry: SearchEntry) -> bytes:
    if entry.mode == _MATCH:
        return b',"search":{"mode":"match"}}'
    if entry.mode == SearchMode.SEARCH_MODE_INCLUDE:
        return b',"search":{"mode":"include"}}'
    return b"}"


def _version(base: str, version: Resource) -> bytes:
    first = version_of(version) == "1"
    method = "DELETE" if version.deleted else "POST" if first else "PUT"
    status = "204" if version.deleted else "201" if first else "200"
    at = version.update_time.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    frame = {
        "request": {"method": method, "url": version.name.partition("/")[0] if method == "POST" else version.name},
        "response": {"status": status, "etag": version.etag, "lastModified": at},
    }
    resource = b"" if version.deleted else b',"resource":' + version.json
    return b'{"fullUrl":' + _encode(f"{base}/{version.name}") + resource + b"," + _encode(frame)[1:]


def _bundle(kind: bytes, links: Sequence[Link], total: int | None, entries: Sequence[bytes]) -> bytes:
    parts = [b'{"resourceType":"Bundle","type":"', kind, b'"']
    if total is not None:
        parts.append(b',"total":%d' % total)
    parts += [b',"link":', _encode([{"relation": relation, "url": url} for relation, url in links])]
    if entries:
        parts += [b',"entry":[', b",".join(entries), b"]"]
    parts.append(b"}")
    return b"".join(parts)
