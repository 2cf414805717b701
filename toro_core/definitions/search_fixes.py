"""Published search parameters whose expression cannot find what it means to, and what takes its place.

Each row says why. A parameter that is not named here is compiled as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["FIXES", "Fix", "fixed"]

_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_US: Final = "http://hl7.org/fhir/us/core/SearchParameter/"
_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/"
_US_EXTENSION: Final = "http://hl7.org/fhir/us/core/StructureDefinition/"


class Fix(NamedTuple):
    """What is wrong, and the expression that takes its place; `components` by the code of the parameter each names."""

    reason: str
    expression: str = ""
    components: Mapping[str, str] = {}


def _genetics(published: str, name: str) -> Fix:
    reason = f"there is no extension {published}; the one defined is {name}"
    return Fix(reason, f"Observation.extension('{_EXTENSION}{name}').value.ofType(CodeableConcept)")


FIXES: Final[Mapping[str, Fix]] = {
    f"{_R4}patient-extensions-Patient-mothersMaidenName": Fix(
        "the extension's address is that of a search parameter; the one defined is patient-mothersMaidenName",
        f"Patient.extension('{_EXTENSION}patient-mothersMaidenName').value.ofType(string)",
    ),
    f"{_R4}observation-genetic-Observation-amino-acid-change": _genetics(
        "observation-geneticsAminoAcidChangeName", "observation-geneticsAminoAcidChange"
    ),
    f"{_R4}observation-genetic-Observation-gene-amino-acid-change": _genetics(
        "observation-geneticsAminoAcidChangeName", "observation-geneticsAminoAcidChange"
    ),
    f"{_R4}observation-genetic-Observation-dna-variant": _genetics(
        "observation-geneticsDnaVariant", "observation-geneticsVariant"
    ),
    f"{_R4}observation-genetic-Observation-gene-dnavariant": _genetics(
        "observation-geneticsDnaVariant", "observation-geneticsVariant"
    ),
    f"{_R4}questionnaireresponse-extensions-QuestionnaireResponse-item-subject": Fix(
        "hasExtension() is no function of FHIRPath",
        "QuestionnaireResponse.item"
        f".where(extension('{_EXTENSION}questionnaireresponse-isSubject').exists()).answer.value.ofType(Reference)",
    ),
    f"{_R4}DocumentReference-relationship": Fix(
        "the expressions of the two components are swapped", components={"relatesto": "target", "relation": "code"}
    ),
    f"{_US}us-core-race": Fix(
        "value.code drops the code's system",
        f"Patient.extension.where(url = '{_US_EXTENSION}us-core-race').extension.value.ofType(Coding)",
    ),
    f"{_US}us-core-ethnicity": Fix(
        "value.code drops the code's system",
        f"Patient.extension.where(url = '{_US_EXTENSION}us-core-ethnicity').extension.value.ofType(Coding)",
    ),
    f"{_US}us-core-patient-gender-identity": Fix(
        "value.coding.code drops the code's system",
        f"Patient.extension.where(url = '{_US_EXTENSION}us-core-genderIdentity').value.ofType(CodeableConcept)",
    ),
    f"{_US}us-core-condition-asserted-date": Fix(
        "valueDateTime is a JSON member, not an element",
        f"Condition.extension.where(url = '{_EXTENSION}condition-assertedDate').value.ofType(dateTime)",
    ),
}


def fixed(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the SearchParameter with its fix applied, itself where it has none."""
    fix = FIXES.get(definition["url"])
    if fix is None:
        return definition
    components = [
        {**component, "expression": fix.components.get(_code(component), component["expression"])}
        for component in definition.get("component", ())
    ]
    own = {"expression": fix.expression} if fix.expression else {}
    return {**definition, **own, **({"component": components} if components else {})}


def _code(component: dict[str, Any]) -> str:
    return str(component["definition"]).rpartition("/")[2].partition("-")[2]
