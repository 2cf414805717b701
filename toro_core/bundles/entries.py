"""Entries of a batch or transaction, understood: each asks for one change or one read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from toro_core.bundles.patches import patch_of
from toro_core.changes import Change, Method
from toro_core.definitions import Definitions
from toro_core.json import JsonObject, JsonValue
from toro_core.rejections import InvalidBundle
from toro_core.resources import anything, known_type, parse_etag, parse_etags, parse_name
from toro_core.search.query import Parameter
from toro_core.search.url import parse_query
from toro_core.v1 import Interaction

__all__ = ["Entry", "EntryParser", "Read", "ReadKind"]

ReadKind: TypeAlias = Literal["read", "vread", "history-instance", "history-type", "search-type"]

_METHODS: Final[dict[str, Method]] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_INTERACTIONS: Final = {
    "create": Interaction.INTERACTION_CREATE,
    "update": Interaction.INTERACTION_UPDATE,
    "patch": Interaction.INTERACTION_PATCH,
    "delete": Interaction.INTERACTION_DELETE,
    "read": Interaction.INTERACTION_READ,
    "vread": Interaction.INTERACTION_VREAD,
    "history-instance": Interaction.INTERACTION_HISTORY_INSTANCE,
    "history-type": Interaction.INTERACTION_HISTORY_TYPE,
    "search-type": Interaction.INTERACTION_SEARCH_TYPE,
}
_NOT_OF_A_READ: Final = frozenset(("_format", "_pretty"))
_NOT_READ: Final = (
    "The url of the entry names nothing that can be read in a Bundle, which are resources, versions, histories of "
    "resources and types, and searches of a type; request it by itself."
)
_ROOTED: Final = re.compile(r"(.+/)?[A-Za-z]+/[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One read; `none_match` and `modified_since` make it conditional."""

    kind: ReadKind
    type: str
    id: str = ""
    version: str = ""
    parameters: tuple[Parameter, ...] = ()
    none_match: str = ""
    modified_since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the entry at `index` asks for. `root` is what its relative references continue: `BASE/`, or "" where there is none."""

    index: int
    full_url: str
    root: str
    request: Change | Read

    @property
    def interaction(self) -> Interaction:
        """Return the interaction of the R4 REST interface."""
        return _INTERACTIONS[self.request.method if isinstance(self.request, Change) else self.request.kind]


class EntryParser:
    """Reads entries of Bundles whose own structure is sound."""

    def __init__(self, definitions: Definitions, bases: Sequence[str]) -> None:
        """Take the addresses of this server, under which URLs of requests may be absolute."""
        self._definitions = definitions
        self._bases = tuple(f"{base}/" for base in bases)

    def parse(self, index: int, entry: JsonObject, *, allow_missing: bool, allow_multiple: bool) -> Entry:
        """Read an entry. Raises InvalidBundle, InvalidArgument, InvalidSearch, UnsupportedType, InvalidPatch."""
        request = cast(JsonObject, entry.get("request"))
        if request is None:
            raise InvalidBundle("The entry has no request; say its method and url.")
        full_url = str(entry.get("fullUrl", ""))
        rooted = _ROOTED.fullmatch(full_url)
        return Entry(
            index=index,
            full_url=full_url,
            root=(rooted[1] or "") if rooted else "",
            request=self._request(entry, request, allow_missing=allow_missing, allow_multiple=allow_multiple),
        )

    def _request(
        self, entry: JsonObject, request: JsonObject, *, allow_missing: bool, allow_multiple: bool
    ) -> Change | Read:
        verb = str(request.get("method"))
        path, _, query = self._local(str(request.get("url"))).partition("?")
        if verb == "GET":
            return self._read(path, query, request)
        if verb not in _METHODS:
            raise InvalidBundle("The entry's method is not supported; it is GET, POST, PUT, PATCH or DELETE.")
        method = _METHODS[verb]
        type_, id_, criteria = self._named(method, path, query, request)
        resource = entry.get("resource")
        none_match = str(request.get("ifNoneMatch", "")) if method == "update" else ""
        if method != "delete" and not isinstance(resource, dict):
            raise InvalidBundle("The entry has no resource; send the one to be written.")
        return Change(
            method=method,
            type=type_,
            id=id_,
            criteria=criteria,
            content=cast(JsonObject, resource) if method in ("create", "update") else {},
            patch=patch_of(cast(JsonObject, resource), self._definitions) if method == "patch" else None,
            expected=_expected(request.get("ifMatch")),
            unlike=() if anything(none_match) else parse_etags(none_match),
            only_new=anything(none_match),
            allow_missing=allow_missing,
            allow_multiple=allow_multiple,
        )

    def _named(
        self, method: Method, path: str, query: str, request: JsonObject
    ) -> tuple[str, str, tuple[Parameter, ...] | None]:
        types = self._definitions.resource_types
        if method == "create":
            if query or "/" in path:
                raise InvalidBundle("The url of a POST is a type alone; a condition goes into ifNoneExist.")
            condition = request.get("ifNoneExist")
            return known_type(path, types), "", None if condition is None else parse_query(str(condition))
        if "/" in path:
            key = parse_name(path, types)
            if query:
                raise InvalidBundle("The url names a resource and has parameters too; leave one of them out.")
            return key.type, key.id, None
        return known_type(path, types), "", parse_query(query)

    def _read(self, path: str, query: str, request: JsonObject) -> Read:
        types = self._definitions.resource_types
        parameters = tuple(given for given in parse_query(query) if given.code not in _NOT_OF_A_READ)
        none_match, since = str(request.get("ifNoneMatch", "")), str(request.get("ifModifiedSince", ""))
        type_, *rest = path.split("/")
        if type_[:1] in ("", "$", "_") or type_ == "metadata" or any(part.startswith("$") for part in rest):
            raise InvalidBundle(_NOT_READ)
        match rest:
            case []:
                return Read(kind="search-type", type=known_type(type_, types), parameters=parameters)
            case ["_history"]:
                return Read(kind="history-type", type=known_type(type_, types), parameters=parameters)
            case [id_, "_history"]:
                key = parse_name(f"{type_}/{id_}", types)
                return Read(kind="history-instance", type=key.type, id=key.id, parameters=parameters)
            case [_, "_history", _] | [_]:
                key = parse_name(f"{type_}/{rest[0]}", types)
                if parameters:
                    raise InvalidBundle("The url of a read has parameters; leave them out.")
                return Read(
                    kind="vread" if len(rest) > 1 else "read",
                    type=key.type,
                    id=key.id,
                    version=rest[2] if len(rest) > 1 else "",
                    none_match=none_match,
                    modified_since=since,
                )
        raise InvalidBundle(_NOT_READ)

    def _local(self, url: str) -> str:
        for base in self._bases:
            if url.startswith(base):
                return url[len(base) :]
        if "://" in url.partition("?")[0]:
            raise InvalidBundle("The url of the entry is of another server; write it relative, as in Patient/1.")
        return url.removeprefix("/")


def _expected(tag: JsonValue) -> int | None:
    text: Any = tag
    return None if text is None else parse_etag(text)
