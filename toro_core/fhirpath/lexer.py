"""Split a FHIRPath text into tokens: http://hl7.org/fhirpath/N1/#lexical-elements"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias, cast

from toro_core.fhirpath.errors import InvalidExpression

__all__ = ["Kind", "Token", "tokens", "unquoted"]

Kind: TypeAlias = Literal["number", "string", "temporal", "name", "quoted", "external", "variable", "symbol", "end"]


class Token(NamedTuple):
    """A token and where it starts."""

    kind: Kind
    text: str
    offset: int


_TOKEN = re.compile(
    r"""
      (?P<space>\s+ | //[^\n]* | /\*.*?\*/)
    | (?P<temporal>@(?:T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?
        | \d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)?))
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`\\]|\\.)*`)
    | (?P<external>%(?:[A-Za-z_][A-Za-z0-9_-]*|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`))
    | (?P<variable>\$(?:this|index|total)\b)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol><=|>=|!=|!~|[-+*/<>=~|&.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def tokens(text: str) -> list[Token]:
    """Return the tokens, `end` last. Raises InvalidExpression."""
    found = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise InvalidExpression(f"No FHIRPath token starts at character {offset} of `{text}`.")
        if match.lastgroup != "space":
            found.append(Token(cast(Kind, match.lastgroup), match.group(), offset))
        offset = match.end()
    found.append(Token("end", "", offset))
    return found


def unquoted(text: str) -> str:
    """Take the quotes off a string or delimited name and resolve its escapes."""
    return _ESCAPE.sub(
        lambda escape: chr(int(escape[1], 16)) if escape[1] else _CONTROLS.get(escape[2], escape[2]), text[1:-1]
    )
