"""SMART system scopes, v1 and v2. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html

Permissions: c create; r read, vread, instance history; u update, patch; d delete; s search, type history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Grant", "grants_of", "is_v1", "narrow", "parse_scope", "spell"]

_V1: Final = {"read": "rs", "write": "cud", "*": "cruds"}
_V1_WORDS: Final = {letters: word for word, letters in _V1.items()}
_SCOPE: Final = re.compile(
    r"system/(?P<type>\*|[A-Z][A-Za-z]{0,63})\.(?:(?P<v1>read|write|\*)|(?P<v2>(?=[cruds])c?r?u?d?s?)(?:\?(?P<query>.+))?)",
    re.ASCII,
)
# RFC 6749 section 3.3: what a scope token may contain.
_SCOPE_CHARACTERS: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,2000}")
_CONSTRAINT: Final = re.compile(r"[A-Za-z_][^=&?]*=[^&]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave to do `permissions`, letters in the order of "cruds", on resources of `type` ("*": any) that match `query`.

    `query` is a FHIR search such as `category=…|laboratory`; "" is no constraint.
    """

    type: str
    permissions: str
    query: str = ""

    def covers(self, other: Grant) -> bool:
        """Say whether everything the other grant allows is allowed by this one, as far as the text shows it."""
        return (
            self.type in ("*", other.type)
            and set(other.permissions) <= set(self.permissions)
            and set(_items(self.query)) <= set(_items(other.query))
        )


def parse_scope(text: str) -> Grant | None:
    """Read one system scope; None for every other kind and for what is misspelt or out of order."""
    if not _SCOPE_CHARACTERS.fullmatch(text) or (match := _SCOPE.fullmatch(text)) is None:
        return None
    query = match["query"] or ""
    if not all(_CONSTRAINT.fullmatch(item) for item in _items(query)):
        return None
    return Grant(type=match["type"], permissions=match["v2"] or _V1[match["v1"]], query=query)


def is_v1(text: str) -> bool:
    """Say whether a scope is written as SMART 1 has it, `system/Patient.read`."""
    return text.rpartition(".")[2] in _V1


def spell(grant: Grant, *, v1: bool = False) -> str:
    """Write a grant as a scope, in v1 where that is asked for and v1 can say it."""
    word = _V1_WORDS.get(grant.permissions) if v1 and not grant.query else None
    suffix = f"?{grant.query}" if grant.query else ""
    return f"system/{grant.type}.{word or grant.permissions}{suffix}"


def grants_of(scopes: Iterable[str]) -> tuple[Grant, ...]:
    """Read the scopes of a registration or a token; what is no system scope grants nothing."""
    return tuple(grant for scope in scopes if (grant := parse_scope(scope)))


def narrow(requested: Sequence[str], registered: Sequence[Grant]) -> tuple[str, ...]:
    """Grant each requested scope as far as the registered ones cover it, in the order and the spelling of the request.

    Constraints of both sides hold together: a constrained registration grants only constrained scopes.
    """
    granted: dict[str, None] = {}
    for text in requested:
        asked = parse_scope(text)
        if asked is None:
            continue
        shares = [share for own in registered if (share := _share(asked, own))]
        for grant in _without_covered(shares):
            granted[text if grant == asked else spell(grant, v1=is_v1(text))] = None
    return tuple(granted)


def _share(asked: Grant, own: Grant) -> Grant | None:
    permissions = "".join(letter for letter in asked.permissions if letter in own.permissions)
    if not permissions or ("*" not in (asked.type, own.type) and asked.type != own.type):
        return None
    items = dict.fromkeys((*_items(own.query), *_items(asked.query)))
    return Grant(
        type=own.type if asked.type == "*" else asked.type,
        permissions=permissions,
        query="&".join(items),
    )


def _without_covered(grants: Sequence[Grant]) -> list[Grant]:
    kept: list[Grant] = []
    for grant in grants:
        if not any(other.covers(grant) for other in kept):
            kept = [other for other in kept if not grant.covers(other)] + [grant]
    return kept


def _items(query: str) -> list[str]:
    return query.split("&") if query else []
