"""Reference search: https://hl7.org/fhir/R4/search.html#reference"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from toro_core.references import Local, References, is_id
from toro_core.search.combine import any_of
from toro_core.search.convert import IDENTIFIER
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.layout import Part, Searchable
from toro_core.search.plan import Criterion, Reference, Token, Uri
from toro_core.search.values import split_escaped, unescaped

__all__ = ["Links", "targets"]

_LISTED: Final = 20
_CANONICALS: Final = frozenset({"uri", "url", "canonical", "oid", "uuid"})


class Links:
    """Compiles references, given what they mean to this server."""

    def __init__(self, references: References) -> None:
        """Read references so."""
        self._references = references

    def compile(self, searchable: Searchable, modifier: str, values: Sequence[str]) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        found: list[Criterion] = []
        for value in values:
            if modifier == "identifier":
                found += _identified(searchable, value)
            elif searchable.types <= _CANONICALS:
                found += [Uri(param=part.param, value=unescaped(value)) for part in searchable.parts]
            else:
                for part in searchable.parts:
                    found += self._linked(searchable, part, modifier, unescaped(value))
        return any_of(found)

    def _linked(self, searchable: Searchable, part: Part, type_: str, text: str) -> Iterator[Criterion]:
        target = self._target(searchable, part, type_, text)
        if isinstance(target, Local):
            if not part.target or target.type == part.target:
                version = target.version or None
                yield Reference(param=part.param, type=target.type or None, id=target.id, version=version)
            if searchable.types & _CANONICALS:
                yield Uri(param=part.param, value=text)
        elif not part.target or self._references.type_of(target) == part.target:
            yield Uri(param=part.param, value=target)

    def _target(self, searchable: Searchable, part: Part, type_: str, text: str) -> Local | str:
        if is_id(text):
            known = targets(searchable)
            return Local(type_ or part.target or (known[0] if len(known) == 1 else ""), text, "")
        found = self._references.parse(text)
        if found is None:
            raise InvalidParameter("value", "takes `id`, `Type/id` with a FHIR type, or an absolute URL")
        named = found.type if isinstance(found, Local) else self._references.type_of(found)
        if type_ and named not in {"", type_}:
            raise InvalidParameter("value", f"is limited to {type_} by its modifier and to another type by its value")
        return found

    @staticmethod
    def modifiers(searchable: Searchable) -> str:
        """Say which modifiers a parameter takes."""
        known = targets(searchable)
        named = ", ".join(known) if len(known) <= _LISTED else "any resource type"
        return f":missing, :identifier and the types it can refer to: {named}"


def targets(searchable: Searchable) -> tuple[str, ...]:
    """Return the types a parameter's references can have."""
    return searchable.facts.targets


def _identified(searchable: Searchable, value: str) -> Iterator[Criterion]:
    parts = [unescaped(part) for part in split_escaped(value, "|")]
    if len(parts) > 2 or not parts[-1]:
        raise InvalidParameter("value", "takes `value`, `system|value` or `|value` with :identifier")
    for param, target in searchable.parts:
        name = f"{param}{IDENTIFIER}:{target}" if target else param + IDENTIFIER
        yield Token(param=name, system=parts[0] if len(parts) == 2 else None, code=parts[-1])
