"""Bindings: is a code of a value set? https://hl7.org/fhir/R4/terminologies.html#binding"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from toro_core.definitions import Definitions

__all__ = ["CODED", "LEANING", "Binding", "binding", "fits", "leaning", "leaves"]

Test: TypeAlias = Callable[[str | None, str], bool]

CODED: Final = frozenset({"code", "string", "uri", "Coding", "CodeableConcept", "Quantity"})
"""The types whose values a required binding can judge."""
LEANING: Final = frozenset({"Coding", "CodeableConcept", "Quantity"})
"""Those whose values an extensible binding can judge: they name the system of their codes."""

_WORD: Final = r"[A-Za-z0-9!#$&^_.+*-]+"
_MIME: Final = re.compile(
    rf"(?:{_WORD}/{_WORD}|xml|json|ttl|turtle|none)(?:\s*;\s*{_WORD}=(?:\"[^\"]*\"|[^\s;\"]+))*\s*;?"
)
_LANGUAGE: Final = re.compile(r"(?:[A-Za-z]{2,3}|[A-Za-z]{4,8}|[ix])(?:-[A-Za-z0-9]{1,8})*")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_UNIT: Final = re.compile(r"[!-~]{1,255}")

_RULES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "http://hl7.org/fhir/ValueSet/all-distance-units": _UNIT,
        "http://hl7.org/fhir/ValueSet/all-languages": _LANGUAGE,
        "http://hl7.org/fhir/ValueSet/all-time-units": _UNIT,
        "http://hl7.org/fhir/ValueSet/currencies": _CURRENCY,
        "http://hl7.org/fhir/ValueSet/mimetypes": _MIME,
        "http://hl7.org/fhir/ValueSet/ucum-units": _UNIT,
        "http://www.rfc-editor.org/bcp/bcp13.txt": _MIME,
    }
)
"""Value sets that no list enumerates, with the form their codes have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A value set that is demanded. Without `systems` its codes are not known, and what has its `form` passes, if it has one.

    Where the code is `optional`, text alone will do.
    """

    url: str
    optional: bool
    systems: Mapping[str, frozenset[str]] | None
    codes: frozenset[str]
    form: re.Pattern[str] | None

    @property
    def known(self) -> bool:
        """Say whether codes can be judged."""
        return self.systems is not None or self.form is not None

    def has(self, system: object, code: object) -> bool:
        """Say whether it holds this code of this system."""
        if not isinstance(code, str):
            return False
        if self.systems is None:
            return self.form is not None and self.form.fullmatch(code) is not None
        return isinstance(system, str) and code in self.systems.get(system, ())

    def has_code(self, code: object) -> bool:
        """Say whether it holds this code, whose system the element implies."""
        if not isinstance(code, str):
            return False
        return self.form.fullmatch(code) is not None if self.form else code in self.codes


def binding(url: str, definitions: Definitions, *, optional: bool = False) -> Binding:
    """Return the binding to a value set."""
    systems = definitions.value_set(url)
    codes = frozenset(code for found in (systems or {}).values() for code in found)
    return Binding(url=url, optional=optional, systems=systems, codes=codes, form=None if systems else _RULES.get(url))


def leaning(url: str, definitions: Definitions) -> Mapping[str, frozenset[str]]:
    """Return by system the codes that an extensible binding allows; of other systems it allows all."""
    return definitions.leaned_on(url) or {}


def fits(value: Any, bound: Binding) -> bool:
    """Say whether a code, Coding, CodeableConcept or Quantity is of the value set, or an extension says why not."""
    if isinstance(value, str):
        return bound.has_code(value)
    if not isinstance(value, dict) or "extension" in value:
        return True
    if bound.optional and "coding" not in value and "code" not in value:
        return True
    if "coding" in value or "text" in value:
        codings = value.get("coding", ())
        return isinstance(codings, list) and any(
            isinstance(coding, dict) and bound.has(coding.get("system"), coding.get("code")) for coding in codings
        )
    if "value" in value and "code" not in value:
        return True
    return bound.has(value.get("system"), value.get("code"))


def leaves(value: Any, systems: Mapping[str, frozenset[str]]) -> bool:
    """Say whether a value has a system of these but none of its codes, and no other code."""
    if type(value) is not dict:
        return False
    given = value.get("coding") or (value,)
    if type(given) is dict:
        return False
    for coding in given:
        if type(coding) is not dict:
            return False
        system, code = coding.get("system"), coding.get("code")
        codes = systems.get(system) if type(system) is str else None
        if codes is None or type(code) is not str or code in codes:
            return False
    return True
