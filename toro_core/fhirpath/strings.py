"""Functions on strings: http://hl7.org/fhirpath/N1/#string-manipulation"""

from __future__ import annotations

import base64
import binascii
import html
import json as standard_json
from collections.abc import Callable, Mapping
from typing import Final

from toro_core.fhirpath.automaton import Pattern
from toro_core.fhirpath.building import Call, Function, single
from toro_core.fhirpath.environment import Scope
from toro_core.fhirpath.errors import EvaluationFailed, InvalidExpression, UnsupportedExpression
from toro_core.fhirpath.nodes import Constant
from toro_core.fhirpath.scalar import NUMBERS, TEXT, bounded, scalar
from toro_core.fhirpath.typed import NOTHING, Typed, made
from toro_core.fhirpath.values import BOOLEAN, INTEGER, STRING, Items

__all__ = ["STRINGS"]


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(0, length)]


def _replace(text: str, pattern: str, substitution: str) -> str:
    bounded(len(text) + text.count(pattern) * len(substitution))
    return text.replace(pattern, substitution)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _join(call: Call) -> Typed:
    inner = call.read(call.of)
    between = call.argument(0) if call.arguments else NOTHING
    separator = single(call, between)

    def run(items: Items, scope: Scope) -> Items:
        texts = inner(items, scope)
        if not all(isinstance(text, str) for text in texts):
            raise EvaluationFailed("FHIRPath: join() needs strings.")
        mark = separator(items, scope) or ""
        bounded(sum(map(len, texts)) + len(mark) * len(texts))
        return [mark.join(texts)]

    return made(run, call.of, between, type_=STRING)


def _pattern_call(returns: str, apply: Callable[..., object], texts: int) -> Function:
    """Return a function whose first argument is a pattern, parsed when compiling if it is a literal."""

    def build(call: Call) -> Typed:
        literal = call.arguments[0]
        if isinstance(literal, Constant) and isinstance(literal.value, str):
            known = Pattern(literal.value)
            function = scalar(
                TEXT, returns, lambda scope, text, _, *rest: apply(known, text, *rest, scope.spend), *kinds, scoped=True
            )
        else:
            function = scalar(
                TEXT,
                returns,
                lambda scope, text, given, *rest: apply(_given(given), text, *rest, scope.spend),
                *kinds,
                scoped=True,
            )
        return function(call)

    kinds = (TEXT,) * texts
    return Function(build, texts, texts)


def _given(text: str) -> Pattern:
    try:
        return Pattern(text)
    except (InvalidExpression, UnsupportedExpression) as error:
        raise EvaluationFailed(str(error)) from None


def _replaced(pattern: Pattern, text: str, substitution: str, spend: Callable[[int], None]) -> str:
    return pattern.replaced(text, substitution, spend)


_ALPHABETS: Final[Mapping[str, tuple[Callable[[bytes], bytes], Callable[[str], bytes]]]] = {
    "hex": (binascii.hexlify, bytes.fromhex),
    "base64": (base64.standard_b64encode, lambda text: base64.b64decode(text, validate=True)),
    "urlbase64": (base64.urlsafe_b64encode, base64.urlsafe_b64decode),
}


def _encode(text: str, alphabet: str) -> str | None:
    return _ALPHABETS[alphabet][0](text.encode()).decode() if alphabet in _ALPHABETS else None


def _decode(text: str, alphabet: str) -> str | None:
    try:
        return _ALPHABETS[alphabet][1](text).decode() if alphabet in _ALPHABETS else None
    except ValueError:
        return None


def _escape(text: str, target: str) -> str | None:
    if target == "html":
        return html.escape(text, quote=True).replace("&#x27;", "&#39;")
    return standard_json.dumps(text, ensure_ascii=False)[1:-1] if target == "json" else None


def _unescape(text: str, target: str) -> str | None:
    if target == "html":
        return html.unescape(text)
    if target != "json":
        return None
    try:
        return str(standard_json.loads(f'"{text}"'))
    except ValueError:
        return text


STRINGS: Final[Mapping[str, Function]] = {
    "indexOf": scalar(TEXT, INTEGER, str.find, TEXT),
    "lastIndexOf": scalar(TEXT, INTEGER, str.rfind, TEXT),
    "substring": scalar(TEXT, STRING, _substring, NUMBERS, NUMBERS, optional=1),
    "startsWith": scalar(TEXT, BOOLEAN, str.startswith, TEXT),
    "endsWith": scalar(TEXT, BOOLEAN, str.endswith, TEXT),
    "contains": scalar(TEXT, BOOLEAN, str.__contains__, TEXT),
    "upper": scalar(TEXT, STRING, str.upper),
    "lower": scalar(TEXT, STRING, str.lower),
    "replace": scalar(TEXT, STRING, _replace, TEXT, TEXT),
    "matches": _pattern_call(BOOLEAN, Pattern.is_in, 1),
    "matchesFull": _pattern_call(BOOLEAN, Pattern.is_all_of, 1),
    "replaceMatches": _pattern_call(STRING, _replaced, 2),
    "length": scalar(TEXT, INTEGER, len),
    "toChars": scalar(TEXT, STRING, list),
    "trim": scalar(TEXT, STRING, str.strip),
    "split": scalar(TEXT, STRING, _split, TEXT),
    "join": Function(_join, 0, 1),
    "encode": scalar(TEXT, STRING, _encode, TEXT),
    "decode": scalar(TEXT, STRING, _decode, TEXT),
    "escape": scalar(TEXT, STRING, _escape, TEXT),
    "unescape": scalar(TEXT, STRING, _unescape, TEXT),
}
