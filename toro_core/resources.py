"""A resource's identity and its server-owned members: names, ids, entity tags, and the body the storage stamps.

https://hl7.org/fhir/R4/resource.html#Meta
"""

from __future__ import annotations

import os
import re
import time

from toro_core.errors import Issue
from toro_core.json import JsonObject, dumps
from toro_core.rejections import InvalidArgument, InvalidResource, UnsupportedType
from toro_core.storage import Body, Key, Stored
from toro_core.v1 import Resource

__all__ = ["body", "etag", "fill", "known_type", "message", "new_id", "parse_etag", "parse_name", "parse_version"]

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,17})"')
_VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def parse_name(name: str, types: frozenset[str]) -> Key:
    """Parse `Patient/123`. Raises InvalidArgument, UnsupportedType."""
    resource_type, slash, resource_id = name.partition("/")
    if not slash or not _ID.fullmatch(resource_id):
        raise InvalidArgument("The name is not Type/id with an id of 1 to 64 letters, digits, '-' and '.'; correct it.")
    return Key(known_type(resource_type, types), resource_id)


def known_type(resource_type: str, types: frozenset[str]) -> str:
    """Return the type if R4 has it. Raises UnsupportedType."""
    if resource_type not in types:
        raise UnsupportedType("FHIR R4 has no resource type of this name; types are spelled as in 'Patient'.")
    return resource_type


def parse_version(text: str) -> int | None:
    """Parse a version id, None where it is empty. Raises InvalidArgument."""
    if not text:
        return None
    if not _VERSION.fullmatch(text):
        raise InvalidArgument("The version id is not a positive whole number; take it from meta.versionId.")
    return int(text)


def etag(version: int) -> str:
    """Render a version as a weak entity tag, `W/"3"`."""
    return f'W/"{version}"'


def parse_etag(tag: str) -> int:
    """Parse `W/"3"` or `"3"`. Raises InvalidArgument."""
    match = _ETAG.fullmatch(tag.strip())
    if not match:
        raise InvalidArgument('The entity tag is not of the form W/"3"; send the ETag of the version that was read.')
    return int(match[1])


def anything(tags: str) -> bool:
    """Say whether entity tags, as If-None-Match lists them, stand for every one: `*`."""
    return tags.strip() == "*"


def parse_etags(tags: str) -> tuple[int, ...]:
    """Parse a list such as `W/"3", W/"4"`, empty for none. Raises InvalidArgument."""
    return tuple(parse_etag(tag) for tag in tags.split(",")) if tags else ()


def new_id() -> str:
    """Make a UUIDv7 (RFC 9562, 5.7): its order is the order of creation, to the millisecond."""
    value = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    text = f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def body(resource: JsonObject, resource_id: str) -> Body:
    """Lay out the resource with this id and a slot at the start of `meta`; everything else keeps its value and order.

    Raises InvalidResource where `meta` is not an object.
    """
    meta = resource.get("meta", {})
    if not isinstance(meta, dict):
        issue = Issue(code="structure", diagnostics="meta is not an object.", expressions=(_place(resource, "meta"),))
        raise InvalidResource(issues=(issue,))
    if resource.get("id") != resource_id:
        resource = _with_id(resource, resource_id)
    cut = "meta" if "meta" in resource else "id"
    first: JsonObject = {}
    members = iter(resource.items())
    for name, value in members:
        if name != "meta":
            first[name] = value
        if name == cut:
            break
    last = dict(members)
    rest = {name: value for name, value in meta.items() if name not in {"versionId", "lastUpdated"}}
    return Body(
        before=_members(first, b"{", b',"meta":{') if first else b'{"meta":{',
        after=_members(rest, b",", b"}") + _members(last, b",", b"}") if rest else b"}" + _members(last, b",", b"}"),
    )


def _with_id(resource: JsonObject, resource_id: str) -> JsonObject:
    """Copy the resource with this id, behind the type where it has had none."""
    if "id" in resource:
        return {**resource, "id": resource_id}
    made: JsonObject = {}
    for name, value in resource.items():
        made[name] = value
        if name == "resourceType":
            made["id"] = resource_id
    return made


def _members(members: JsonObject, before: bytes, after: bytes) -> bytes:
    return before + dumps(members)[1:-1] + after if members else after


def _place(resource: JsonObject, member: str) -> str:
    return f"{resource.get('resourceType', 'Resource')}.{member}"


def message(stored: Stored, *, max_bytes: int | None = None, content: bool = True) -> Resource:
    """Render a version for the wire; its JSON is left out where it is larger than `max_bytes` or not wanted."""
    answer = Resource()
    fill(answer, stored, max_bytes=max_bytes, content=content)
    return answer


def fill(answer: Resource, stored: Stored, *, max_bytes: int | None = None, content: bool = True) -> None:
    """Render a version into an empty message, so that one that is part of another is not copied into it."""
    key, version, _, at, deleted, json = stored
    size = len(json)
    answer.name = f"{key.type}/{key.id}"
    answer.etag = f'W/"{version}"'
    if content and (max_bytes is None or size <= max_bytes):
        answer.json = json
    if deleted:
        answer.deleted = True
    answer.size = size
    time_ = answer.update_time
    time_.seconds, millis = divmod(at, 1000)
    time_.nanos = millis * 1_000_000
