"""The names of parameters, chains among them: https://hl7.org/fhir/R4/search.html#chaining

`subject:Patient.name:exact` is a Link and a Leaf; `_has:Observation:patient:code` a Reverse and a Leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from toro_core.search.kinds.invalid import InvalidParameter

__all__ = ["MAX_DEPTH", "Leaf", "Link", "Path", "Reverse", "parse_path"]

MAX_DEPTH: Final = 8
"""References a chain may follow, in either direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A parameter of the type that has been reached."""

    code: str
    modifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What the reference parameter `code` refers to, of `type` where one is named, satisfies the rest."""

    code: str
    type: str
    rest: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Some resource of `type` refers here by its parameter `code` and satisfies the rest."""

    type: str
    code: str
    rest: Path


Path: TypeAlias = Leaf | Link | Reverse


def parse_path(code: str, modifier: str) -> Path:
    """Parse a name that was split at its first colon. Raises InvalidParameter."""
    return _parsed(f"{code}:{modifier}" if modifier else code, MAX_DEPTH)


def _parsed(name: str, depth: int) -> Path:
    if depth < 0:
        raise InvalidParameter("too-costly", f"follows more than {MAX_DEPTH} references; ask in several searches")
    if name.startswith("_has:"):
        type_, _, rest = name.removeprefix("_has:").partition(":")
        code, _, rest = rest.partition(":")
        if not (type_ and code and rest):
            raise InvalidParameter("value", "is not complete: write `_has:Type:reference:parameter`")
        return Reverse(type=type_, code=code, rest=_parsed(rest, depth - 1))
    head, dot, rest = name.partition(".")
    code, _, more = head.partition(":")
    if dot:
        if not (code and rest):
            raise InvalidParameter(
                "value", "is not complete: write `reference.parameter` or `reference:Type.parameter`"
            )
        return Link(code=code, type=more, rest=_parsed(rest, depth - 1))
    return Leaf(code=code, modifier=more)
