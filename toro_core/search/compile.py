"""Compile one search parameter to a criterion. https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast

from toro_core.references import Local, References, is_id
from toro_core.search.dates import InvalidDate, interval
from toro_core.search.plan import AnyOf, Criterion, Ids, LastUpdated, Period, Prefix, Reference, Text, Token, Uri
from toro_core.search.query import Parameter
from toro_core.search.searchable import Searchable
from toro_core.search.text import fold
from toro_core.search.values import split_escaped, unescaped

__all__ = ["InvalidParameter", "ParameterCompiler"]

_LISTED_TARGETS: Final = 20
_PREFIXED: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_CANONICAL_TYPES: Final = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_SYSTEMLESS_TYPES: Final = frozenset({"boolean", "id", "string", *_CANONICAL_TYPES})
_BOOLEAN_SYSTEMS: Final = frozenset(
    {"http://hl7.org/fhir/special-values", "http://terminology.hl7.org/CodeSystem/special-values"}
)


class InvalidParameter(Exception):
    """A parameter cannot be compiled: `code` is the issue's, the text says what the parameter does wrong.

    What is `ignorable` a lenient search may leave out.
    """

    def __init__(self, code: str, text: str, *, ignorable: bool = False) -> None:
        """Carry an issue code and what is wrong, to stand after the parameter's name."""
        super().__init__(text)
        self.code = code
        self.ignorable = ignorable


class ParameterCompiler:
    """Compiles parameters, given what references mean and which code-typed parameters have known systems."""

    def __init__(self, references: References, knows_systems: Callable[[Searchable], bool]) -> None:
        """Take `knows_systems`, which says whether the rows of all of a parameter's codes carry their systems."""
        self._references = references
        self._knows_systems = knows_systems
        self._by_type: dict[str, Callable[[Searchable, str, str], Criterion]] = {
            "date": self._date,
            "reference": self._reference,
            "string": self._string,
            "token": self._token,
            "uri": self._uri,
        }

    def compile(self, searchable: Searchable, parameter: Parameter) -> Criterion:
        """Return what holds where any of the values matches. Raises InvalidParameter."""
        facts = searchable.facts
        if parameter.modifier and not (facts.type == "reference" and parameter.modifier in facts.targets):
            raise InvalidParameter("not-supported", _modifiers(searchable))
        if parameter.code == "_id":
            return Ids(ids=tuple(unescaped(value) for value in parameter.values))
        compile_value = self._by_type[facts.type]
        criteria = [
            # No FHIR string holds NUL, and not every storage can be asked for it.
            AnyOf(()) if "\0" in value else compile_value(searchable, parameter.modifier, value)
            for value in parameter.values
        ]
        return criteria[0] if len(criteria) == 1 else AnyOf(tuple(criteria))

    def _token(self, searchable: Searchable, _: str, value: str) -> Criterion:
        param = searchable.facts.code
        parts = [unescaped(part) for part in split_escaped(value, "|")]
        code = parts[-1]
        if len(parts) > 2 or not any(parts):
            raise InvalidParameter("value", "takes `code`, `system|code`, `|code` or `system|`")
        if searchable.types == {"boolean"} and code not in ("true", "false"):
            raise InvalidParameter("value", "takes `true` or `false`")
        if len(parts) == 1:
            return Token(param=param, code=code)
        if code and self._implies(searchable, parts[0]):
            return Token(param=param, code=code)
        return Token(param=param, system=parts[0], code=code or None)

    def _implies(self, searchable: Searchable, system: str) -> bool:
        """Say whether the values stand without a system although this one may well be theirs.

        A `code` gets its system from its binding; where the binding is not enumerated, any system given is taken on trust.
        """
        if searchable.types == {"boolean"}:
            return system in _BOOLEAN_SYSTEMS
        return bool(system) and searchable.types == {"code"} and not self._knows_systems(searchable)

    def _string(self, searchable: Searchable, _: str, value: str) -> Criterion:
        folded = fold(unescaped(value))
        if not folded:
            raise InvalidParameter("value", "needs at least one letter or digit")
        return Text(param=searchable.facts.code, value=folded)

    def _date(self, searchable: Searchable, _: str, value: str) -> Criterion:
        match = cast(re.Match[str], _PREFIXED.fullmatch(value))
        if match[1] == "ap":
            raise InvalidParameter("not-supported", "does not support the prefix `ap`; use `ge` and `le`")
        prefix = cast(Prefix, match[1] or "eq")
        try:
            # A plus sign that was not percent-encoded in a URL arrives as a space.
            low, high = interval(match[2].replace(" ", "+"))
        except InvalidDate:
            text = "takes dates that exist, such as `2024`, `2024-01-31`, `ge2024-01-31T08:00:00Z`"
            raise InvalidParameter("value", text) from None
        if searchable.facts.code == "_lastUpdated":
            return LastUpdated(prefix=prefix, low=low, high=high)
        return Period(param=searchable.facts.code, prefix=prefix, low=low, high=high)

    def _reference(self, searchable: Searchable, type_: str, value: str) -> Criterion:
        param = searchable.facts.code
        text = unescaped(value)
        if searchable.types <= _CANONICAL_TYPES:
            return Uri(param=param, value=text)
        found = self._target(searchable, type_, text)
        if isinstance(found, Local):
            wanted = Reference(param=param, type=found.type or None, id=found.id, version=found.version or None)
            return AnyOf((wanted, Uri(param=param, value=text))) if searchable.types & _CANONICAL_TYPES else wanted
        return Uri(param=param, value=found)

    def _target(self, searchable: Searchable, type_: str, text: str) -> Local | str:
        targets = searchable.facts.targets
        if is_id(text):
            return Local(type_ or (targets[0] if len(targets) == 1 else ""), text, "")
        found = self._references.parse(text)
        if found is None:
            raise InvalidParameter("value", "takes `id`, `Type/id` with a FHIR type, or an absolute URL")
        if type_ and isinstance(found, Local) and found.type != type_:
            raise InvalidParameter("value", f"is limited to {type_} by its modifier and to another type by its value")
        return found

    def _uri(self, searchable: Searchable, _: str, value: str) -> Criterion:
        return Uri(param=searchable.facts.code, value=unescaped(value))


def _modifiers(searchable: Searchable) -> str:
    if searchable.facts.type != "reference":
        return "supports no modifiers"
    targets = searchable.facts.targets
    named = ", ".join(targets) if len(targets) <= _LISTED_TARGETS else "any resource type"
    return f"supports as modifiers only the types it can refer to: {named}"
