"""Places in a resource that a FHIRPath names: `Patient.name.where(use = 'official').given[0]`.

A patch has to know where a value stands, which an expression's value does not say. The steps of a path are walked here; what
stands in `where(…)` is the FHIRPath compiler's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from toro_core.definitions import Definitions, ElementFacts
from toro_core.fhirpath.compiler import Expression, compile_expression
from toro_core.fhirpath.errors import InvalidExpression, UnsupportedExpression
from toro_core.fhirpath.lexer import Token, tokens, unquoted
from toro_core.json import JsonObject, JsonValue
from toro_core.rejections import InvalidPatch

__all__ = ["Place", "Places", "compile_path"]

_ONE: Final = {"first": slice(0, 1), "last": slice(-1, None), "single": slice(None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A value of FHIR type `type` at `holder[member]`, or at `holder[member][index]` of an array; the root has no holder."""

    type: str
    value: JsonValue
    element: ElementFacts | None = None
    holder: JsonObject = field(default_factory=dict)
    member: str = ""
    index: int | None = None


Places: TypeAlias = list[Place]
_Step: TypeAlias = Callable[[Places], Places]


def compile_path(text: str, definitions: Definitions) -> Callable[[JsonObject], Places]:
    """Return what finds a path's places in a resource, in order. Raises InvalidPatch; what it returns raises it too."""
    parser = _Parser(text, definitions)
    try:
        steps = list(parser.steps())
    except (InvalidExpression, UnsupportedExpression):
        raise _not_understood() from None

    def find(resource: JsonObject) -> Places:
        places = [Place(type=str(resource["resourceType"]), value=resource)]
        for step in steps:
            places = step(places)
        return places

    return find


class _Parser:
    def __init__(self, text: str, definitions: Definitions) -> None:
        self._text = text
        self._definitions = definitions
        self._tokens = tokens(text)
        self._at = 0

    def steps(self) -> Iterator[_Step]:
        first = self._name()
        yield self._root(first) if first[:1].isupper() else self._member(first)
        while (token := self._take()).kind != "end":
            if token.text == "[":
                yield _at(self._number())
                continue
            if token.text != ".":
                raise _not_understood()
            name = self._name()
            yield self._call(name) if self._tokens[self._at].text == "(" else self._member(name)

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _name(self) -> str:
        token = self._take()
        if token.kind not in ("name", "quoted"):
            raise _not_understood()
        return unquoted(token.text) if token.kind == "quoted" else token.text

    def _number(self) -> int:
        token, close = self._take(), self._take()
        if token.kind != "number" or not token.text.isdigit() or close.text != "]":
            raise _not_understood()
        return int(token.text[:9])

    def _arguments(self) -> str:
        """Return the text between the parentheses that begin here."""
        start, depth = self._take().offset + 1, 1
        while depth:
            token = self._take()
            if token.kind == "end":
                raise _not_understood()
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "symbol" else 0
        return self._text[start : token.offset].strip()

    def _call(self, name: str) -> _Step:
        argument = self._arguments()
        if name in _ONE and not argument:
            return lambda places: places[_ONE[name]]
        if name == "where" and argument:
            return self._where(argument)
        if name == "extension" and argument:
            inner = self._where(f"url = {argument}")
            return lambda places: inner(self._member("extension")(places))
        if name in ("ofType", "as") and argument:
            return lambda places: [place for place in places if place.type == argument.removeprefix("FHIR.")]
        raise _not_understood()

    def _where(self, criterion: str) -> _Step:
        test = lru_cache(maxsize=8)(lambda type_: self._test(criterion, type_))
        return lambda places: [place for place in places if test(place.type)(place.value) == [True]]

    def _test(self, criterion: str, type_: str) -> Expression:
        try:
            return compile_expression(f"where({criterion}).exists()", type_, self._definitions)
        except (InvalidExpression, UnsupportedExpression):
            raise _not_understood() from None

    def _root(self, name: str) -> _Step:
        return lambda places: [place for place in places if self._definitions.is_a(place.type, name)]

    def _member(self, name: str) -> _Step:
        return lambda places: [inner for place in places for inner in self._below(place, name)]

    def _below(self, place: Place, name: str) -> Iterator[Place]:
        element = self._definitions.structure(place.type).elements.get(name)
        if element is None:
            raise InvalidPatch("A path of the patch names an element that its type does not have; correct it.")
        holder: Any = place.value
        for choice in element.choices if isinstance(holder, dict) else ():
            value = holder.get(choice.json_name)
            listed = isinstance(value, list)
            for index, one in enumerate(value if listed else [] if value is None else [value]):
                yield Place(
                    type=_type(choice.type, one),
                    value=one,
                    element=element,
                    holder=holder,
                    member=choice.json_name,
                    index=index if listed else None,
                )


def _at(position: int) -> _Step:
    return lambda places: places[position : position + 1]


def _type(declared: str, value: JsonValue) -> str:
    """Return the type of a value; a contained resource says its own."""
    named = value.get("resourceType") if declared == "Resource" and isinstance(value, dict) else None
    return named if isinstance(named, str) else declared


def _not_understood() -> InvalidPatch:
    return InvalidPatch("A path of the patch is not understood; write it with elements, positions and where(…).")
