"""Make criteria of parameters, chains included, with the caller's grants in every type they touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from toro_core.access import Forbidden
from toro_core.search.combine import all_of, any_of
from toro_core.search.compile import ParameterCompiler
from toro_core.search.extract import Extractor
from toro_core.search.kinds.invalid import InvalidParameter
from toro_core.search.kinds.reference import targets
from toro_core.search.layout import Searchable
from toro_core.search.paths import Leaf, Link, Path, Reverse, parse_path
from toro_core.search.plan import Chain, Criterion, Has, Ids
from toro_core.search.query import Parameter
from toro_core.search.values import unescaped

__all__ = ["ClauseOf", "Filters", "check_indexed", "unknown"]

ClauseOf: TypeAlias = Callable[[str], Criterion | None]
"""What of a type the caller may read and search, None for nothing."""

_UNNAMED_TARGETS: Final = 10
"""Types a chain may go to where it names none."""
_WAYS: Final = 100
"""Types that all steps of a chain may go to."""
_NAMED: Final = 10
_REFUSED: Final[Mapping[str, str]] = {
    "_content": "is not supported by this storage",
    "_filter": "is not supported; use parameters of their own",
    "_query": "is not supported: there are no named queries",
    "_text": "is not supported by this storage",
}


@dataclass(slots=True)
class _Making:
    """One parameter being compiled; `warnings` say what it leaves out, `ways` counts the types its chains may go through."""

    clause_of: ClauseOf | None
    values: Sequence[str]
    warnings: list[str] = field(default_factory=list)
    ways: int = 0


class Filters:
    """Compiles what filters."""

    def __init__(self, extractor: Extractor, **options: Any) -> None:
        """Compile to what finds the extractor's rows; `options` go to the ParameterCompiler."""
        self._extractor = extractor
        self._compiler = ParameterCompiler(extractor, **options)

    def compile(
        self, resource_type: str, parameter: Parameter, clause_of: ClauseOf | None
    ) -> tuple[Criterion, Sequence[str]]:
        """Return the criterion, and what it leaves out in words. Raises InvalidParameter, Forbidden.

        Without `clause_of` chains are refused.
        """
        making = _Making(clause_of, parameter.values)
        criterion = self._made(resource_type, parse_path(parameter.code, parameter.modifier), making)
        return criterion, making.warnings

    def _made(self, resource_type: str, path: Path, making: _Making) -> Criterion:
        match path:
            case Leaf():
                return self._leaf(resource_type, path, making)
            case Link():
                return self._link(resource_type, path, making)
            case Reverse():
                return self._reverse(resource_type, path, making)

    def _leaf(self, resource_type: str, leaf: Leaf, making: _Making) -> Criterion:
        if leaf.code == "_list":
            return self._listed(leaf, making)
        searchable = self._searchable(resource_type, leaf.code)
        places = self._compiler.unknown(searchable, leaf.modifier, making.values)
        if places:
            which = ", ".join(map(str, places[:_NAMED])) + (" and more" if len(places) > _NAMED else "")
            making.warnings.append(f"matches nothing by value {which}, which is no code of this element")
        return self._compiler.compile(searchable, leaf.modifier, making.values)

    def _link(self, resource_type: str, link: Link, making: _Making) -> Criterion:
        searchable = self._reference(resource_type, link.code)
        known = targets(searchable)
        if link.type and link.type not in known:
            raise InvalidParameter("value", f"chains to a type that `{link.code}` does not refer to: {_some(known)}")
        if not link.type and len(known) > _UNNAMED_TARGETS:
            text = f"has to name the type it chains to, as `{link.code}:Patient.{_name(link.rest)}`"
            raise InvalidParameter("value", text)
        found: list[Criterion] = []
        unfit: list[InvalidParameter] = []
        hidden: list[str] = []
        for type_ in [link.type] if link.type else known:
            making.ways += 1
            if making.ways > _WAYS:
                raise InvalidParameter(
                    "too-costly", "may go through too many types; name them, as `subject:Patient.name`"
                )
            try:
                inner = self._made(type_, link.rest, making)
            except InvalidParameter as invalid:
                if making.ways > _WAYS or isinstance(invalid, Unindexed):
                    raise
                unfit.append(invalid)
                continue
            clause = _granted(type_, making)
            if clause is None:
                hidden.append(type_)
                continue
            for param, target in searchable.parts:
                if target in {"", type_}:
                    found.append(Chain(param=param, type=type_, criterion=all_of((inner, clause))))
        if hidden and not found:
            raise Forbidden(f"system/{hidden[0]}.rs")
        if not found:
            raise unfit[0] if unfit else InvalidParameter("value", "chains to no type that it refers to")
        if hidden:
            making.warnings.append(f"does not look at {', '.join(hidden)}, which the access token does not allow")
        return any_of(found)

    def _reverse(self, resource_type: str, reverse: Reverse, making: _Making) -> Criterion:
        if reverse.type not in self._extractor.definitions.resource_types:
            raise InvalidParameter("value", "names no FHIR resource type")
        searchable = self._reference(reverse.type, reverse.code)
        if resource_type not in targets(searchable):
            text = f"goes by a parameter of {reverse.type} that does not refer to {resource_type}"
            raise InvalidParameter("value", text)
        inner = self._made(reverse.type, reverse.rest, making)
        clause = _granted(reverse.type, making)
        if clause is None:
            raise Forbidden(f"system/{reverse.type}.rs")
        return any_of(
            [
                Has(type=reverse.type, param=param, criterion=all_of((inner, clause)))
                for param, target in searchable.parts
                if target in {"", resource_type}
            ]
        )

    def _listed(self, leaf: Leaf, making: _Making) -> Criterion:
        """Search the members of Lists: https://hl7.org/fhir/R4/search.html#list"""
        if leaf.modifier:
            raise InvalidParameter("not-supported", "supports no modifiers")
        if any(value.startswith("$") for value in making.values):
            raise InvalidParameter("not-supported", "supports the ids of Lists, no functional lists")
        clause = _granted("List", making)
        if clause is None:
            raise Forbidden("system/List.rs")
        ids = Ids(ids=tuple(map(unescaped, making.values)))
        parts = self._searchable("List", "item").parts
        return any_of([Has(type="List", param=part.param, criterion=all_of((ids, clause))) for part in parts])

    def _reference(self, resource_type: str, code: str) -> Searchable:
        searchable = self._searchable(resource_type, code)
        if searchable.facts.type != "reference" or "Reference" not in searchable.types:
            raise InvalidParameter("value", f"chains through `{code}`, which is no reference of {resource_type}")
        return searchable

    def _searchable(self, resource_type: str, code: str) -> Searchable:
        if code in _REFUSED:
            raise InvalidParameter("not-supported", _REFUSED[code], ignorable=True)
        check_indexed(self._extractor, resource_type, code)
        searchables = self._extractor.searchables(resource_type)
        if code not in searchables:
            raise unknown(resource_type, code, searchables, "is not supported")
        return searchables[code]


class Unindexed(InvalidParameter):
    """The parameter's rows may be of other rules: nothing else may be answered in its stead."""


def check_indexed(extractor: Extractor, resource_type: str, code: str) -> None:
    """Refuse a parameter that resources stored before may not be found by, even where others may be left out."""
    if code in extractor.pending.get(resource_type, ()):
        text = (
            f"was defined otherwise when resources were stored; {resource_type} is searched by it after `toro reindex`"
        )
        raise Unindexed("not-supported", text)


def unknown(resource_type: str, code: str, known: Mapping[str, Searchable], what: str) -> InvalidParameter:
    """Return what is wrong with a code that is no parameter of the type."""
    close = get_close_matches(code, known, n=1)
    hint = f"; did you mean `{close[0]}`?" if close else ""
    text = f"{what} for {resource_type}{hint} (supported: {', '.join(sorted(known))})"
    return InvalidParameter("not-supported", text, ignorable=True)


def _granted(type_: str, making: _Making) -> Criterion | None:
    if making.clause_of is None:
        raise InvalidParameter("not-supported", "may follow no references here")
    return making.clause_of(type_)


def _name(path: Path) -> str:
    return path.code if isinstance(path, Leaf | Link) else "_has"


def _some(types: Sequence[str]) -> str:
    return ", ".join(types) if len(types) <= _UNNAMED_TARGETS * 2 else "any resource type but this"
