"""What an operation is invoked with, out of a URL's query and a Parameters resource. https://hl7.org/fhir/R4/operations.html#executing"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from toro_core.errors import Issue
from toro_core.json import dumps, loads
from toro_core.operations.contract import Arguments, InvalidArguments, OperationFacts, ParameterFacts

__all__ = ["arguments"]

_TEXTS: Final = frozenset({"Coding", "Reference"})
"""Types whose values are given as text, beside the primitive ones, whose names begin in lower case."""


def arguments(
    facts: OperationFacts, given: Iterable[tuple[str, str]], parameters: bytes, *, lenient: bool, whole: bool = True
) -> tuple[Arguments, tuple[Issue, ...]]:
    """Return the arguments and what was ignored; some may be missing unless `whole`. Raises InvalidJson, InvalidArguments."""
    known = {parameter.name: parameter for parameter in facts.parameters}
    found = _Found(known, facts.code, lenient)
    for name, value in given:
        found.text(name, value)
    for part in _parts(parameters) if parameters else ():
        found.part(part)
    for parameter in facts.parameters:
        found.count(parameter, whole=whole)
    texts = {name: tuple(values) for name, values in found.texts.items()}
    trees = {name: tuple(values) for name, values in found.trees.items()}
    return Arguments(texts=texts, trees=trees), tuple(found.issues)


class _Found:
    """Arguments being collected."""

    def __init__(self, known: dict[str, ParameterFacts], code: str, lenient: bool) -> None:
        self._known = known
        self._code = code
        self._lenient = lenient
        self.texts: dict[str, list[str]] = {}
        self.trees: dict[str, list[bytes]] = {}
        self.issues: list[Issue] = []

    def text(self, name: str, value: str) -> None:
        if not self._knows(name):
            return
        if not _is_text(self._known[name]):
            raise InvalidArguments(f"{name} does not fit into a URL; send it in a Parameters resource.")
        if not value:
            raise InvalidArguments(f"{name} has no value.")
        if self._known[name].type == "boolean" and value not in ("true", "false"):
            raise InvalidArguments(f"{name} is true or false.")
        self.texts.setdefault(name, []).append(value)

    def part(self, part: dict[str, Any]) -> None:
        name = part.get("name")
        if not isinstance(name, str):
            raise InvalidArguments("A parameter has no name.")
        if not self._knows(name):
            return
        values = [value for member, value in part.items() if member.startswith("value") or member == "resource"]
        if len(values) != 1:
            raise InvalidArguments(f"{name} is not given exactly one value or resource.")
        if not _is_text(self._known[name]):
            self.trees.setdefault(name, []).append(dumps(values[0]))
        else:
            self.text(name, _as_text(name, values[0]))

    def count(self, parameter: ParameterFacts, *, whole: bool) -> None:
        number = len(self.texts.get(parameter.name, ())) + len(self.trees.get(parameter.name, ()))
        if whole and number < parameter.min:
            raise InvalidArguments(f"{parameter.name} is missing; ${self._code} needs it.")
        if parameter.max is not None and number > parameter.max:
            raise InvalidArguments(f"{parameter.name} is given more than once; give it once.")

    def _knows(self, name: str) -> bool:
        if name in self._known:
            return True
        shown = "".join(letter if letter.isprintable() else "?" for letter in name[:64])
        if not self._lenient:
            named = ", ".join(self._known) or "none"
            raise InvalidArguments(f"`{shown}` is not a parameter of ${self._code}, which has {named}; leave it out.")
        text = f"`{shown}` is not a parameter of ${self._code}; it was ignored."
        self.issues.append(Issue(severity="warning", code="not-supported", diagnostics=text))
        return False


def _parts(json: bytes) -> Sequence[dict[str, Any]]:
    resource = loads(json)
    parts = resource.get("parameter", [])
    if resource.get("resourceType") != "Parameters" or not isinstance(parts, list):
        raise InvalidArguments("The body is no Parameters resource; send one.")
    return [part if isinstance(part, dict) else {} for part in parts]


def _is_text(parameter: ParameterFacts) -> bool:
    return parameter.type[:1].islower() or parameter.type in _TEXTS


def _as_text(name: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict() if isinstance(reference := value.get("reference"), str):
            return reference
        case dict() if isinstance(code := value.get("code"), str):
            system = value.get("system")
            return f"{system}|{code}" if isinstance(system, str) else code
        case dict() | list() | None:
            raise InvalidArguments(f"{name} has a value of another type than its own.")
    return str(value)
