"""The constraints that HL7 publishes, as far as the packages lie beside the repository."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toro_core.definitions import Definitions, load
from toro_core.fhirpath import InvalidExpression, UnsupportedExpression, compile_invariant

_PACKAGES = Path(__file__).parents[4] / "shared" / "spec" / "packages"

pytestmark = pytest.mark.skipif(not _PACKAGES.exists(), reason="the packages do not lie beside the repository")

UNCOMPILED = {
    ("txt-1", "xhtml"): "htmlChecks() is the validator's own",
    ("txt-2", "xhtml"): "htmlChecks() is the validator's own",
    ("cid-0", "ChargeItemDefinition"): "asks for a name, which the type has not",
    ("inv-1", "Extension"): "asks an extension for an element of the type that it extends",
}
"""The constraints that cannot be compiled, and why."""


def test_all_constraints_of_r4_and_us_core_compile_or_cannot_for_a_reason() -> None:
    definitions = load()
    constraints = set(_constraints(definitions, "hl7.fhir.r4.core-4.0.1.tgz"))
    constraints |= set(_constraints(definitions, "hl7.fhir.us.core-6.1.0.tgz"))
    assert len(constraints) > 1000
    refused = {
        (key, type_) for key, text, type_, choice in constraints if _is_refused(text, type_, choice, definitions)
    }
    assert refused == set(UNCOMPILED)


def _is_refused(text: str, type_: str, choice: bool, definitions: Definitions) -> bool:
    try:
        compile_invariant(text, type_, definitions, lenient=choice)
    except (InvalidExpression, UnsupportedExpression):
        return True
    return False


def _constraints(definitions: Definitions, package: str) -> Iterator[tuple[str, str, str, bool]]:
    """Yield key, expression and type of each constraint, and whether its element has several types."""
    for element in _elements(package):
        types = [element["path"]] if _is_type(definitions, element["path"]) else _codes(element)
        for constraint in element.get("constraint", ()):
            for type_ in filter(lambda type_: _is_type(definitions, type_), types):
                yield constraint["key"], constraint["expression"], type_, len(types) > 1


def _elements(package: str) -> Iterator[dict[str, Any]]:
    with tarfile.open(_PACKAGES / package) as files:
        for member in files:
            if member.name.startswith("package/StructureDefinition-") and (content := files.extractfile(member)):
                yield from json.load(content).get("snapshot", {}).get("element", ())


def _codes(element: dict[str, Any]) -> list[str]:
    return [type_["code"] for type_ in element.get("type", ())]


def _is_type(definitions: Definitions, name: str) -> bool:
    try:
        definitions.structure(name)
    except KeyError:
        return False
    return True
