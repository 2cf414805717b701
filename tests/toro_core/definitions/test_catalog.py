from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import Any

import pytest

from toro_core import json
from toro_core.definitions import Choice, Definitions, load


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


DATA = files("toro_core.definitions") / "data"


def content(*path: str) -> Any:
    return json.loads(DATA.joinpath(*path).read_bytes())


def every_structure(definitions: Definitions) -> list[str]:
    names = list(content("types.json")["structures"])
    for resource_type in sorted(definitions.resource_types):
        names += content("resources", f"{resource_type}.json")["structures"]
    return names


def test_r4_has_146_concrete_resource_types(definitions: Definitions) -> None:
    assert definitions.fhir_version == "4.0.1"
    assert len(definitions.resource_types) == 146
    assert {"Patient", "Observation", "Bundle", "Parameters"} <= definitions.resource_types
    assert not {"Resource", "DomainResource", "Quantity"} & definitions.resource_types


def test_an_observation_has_its_elements_and_the_inherited_ones(definitions: Definitions) -> None:
    observation = definitions.structure("Observation")
    assert (observation.kind, observation.base) == ("resource", "DomainResource")
    assert {
        "id",
        "meta",
        "text",
        "contained",
        "modifierExtension",
        "status",
        "component",
    } <= observation.elements.keys()
    status = observation.elements["status"]
    assert (status.min, status.max, status.value_set) == (1, 1, "http://hl7.org/fhir/ValueSet/observation-status")
    assert observation.elements["id"].choices == (Choice(json_name="id", type="id"),)
    assert observation.elements["category"].repeats


def test_a_choice_is_one_element_with_a_member_for_each_type(definitions: Definitions) -> None:
    observation = definitions.structure("Observation")
    assert "valueDateTime" not in observation.elements
    element, choice = observation.members["valueDateTime"]
    assert (element.name, choice.type, len(element.choices)) == ("value", "dateTime", 11)


def test_backbone_elements_and_content_references_have_their_path_as_type(definitions: Definitions) -> None:
    component = definitions.structure("Observation.component")
    assert (component.kind, component.base) == ("backbone", "BackboneElement")
    assert component.elements["referenceRange"].choices[0].type == "Observation.referenceRange"
    assert definitions.structure("Questionnaire.item").elements["item"].choices[0].type == "Questionnaire.item"
    assert definitions.structure("Timing").elements["repeat"].choices[0].type == "Timing.repeat"


def test_types_derive_from_their_base(definitions: Definitions) -> None:
    for name, base in [
        ("Age", "Quantity"), ("Quantity", "Element"), ("url", "uri"), ("code", "string"), ("Patient", "DomainResource"),
        ("Patient", "Resource"), ("Patient", "Patient"), ("Bundle", "Resource"), ("Observation.component", "BackboneElement"),
    ]:  # fmt: skip
        assert definitions.is_a(name, base)
    assert not definitions.is_a("Bundle", "DomainResource")
    assert not definitions.is_a("Quantity", "Age")
    assert definitions.structure("Age").elements.keys() == definitions.structure("Quantity").elements.keys()


def test_every_type_an_element_may_have_is_defined(definitions: Definitions) -> None:
    names = every_structure(definitions)
    assert len(names) > 600
    for name in names:
        for element in definitions.structure(name).elements.values():
            for choice in element.choices:
                assert definitions.structure(choice.type), (name, element.name)
            assert (element.min, element.max) in {(0, 1), (1, 1), (0, None), (1, None)}


def test_every_required_value_set_is_enumerated_but_for_six(definitions: Definitions) -> None:
    unknown = {
        element.value_set
        for name in every_structure(definitions)
        for element in definitions.structure(name).elements.values()
        if element.value_set and not definitions.codes(element.value_set)
    }
    assert unknown == {
        "http://hl7.org/fhir/ValueSet/all-languages",
        "http://hl7.org/fhir/ValueSet/currencies",
        "http://hl7.org/fhir/ValueSet/mimetypes",
        "http://hl7.org/fhir/ValueSet/ucum-units",
        "http://loinc.org/vs/LL379-9",
        "http://www.rfc-editor.org/bcp/bcp13.txt",
    }
    genders = definitions.codes("http://hl7.org/fhir/ValueSet/administrative-gender")
    assert genders == frozenset({"male", "female", "other", "unknown"})
    assert definitions.codes("http://example.org/ValueSet/none") is None


def test_parameters_of_every_type_have_an_expression_of_that_type(definitions: Definitions) -> None:
    for resource_type in definitions.resource_types:
        parameters = definitions.search_parameters(resource_type)
        assert {"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"} <= parameters.keys()
        for code, parameter in parameters.items():
            assert parameter.code == code
            assert " as " not in parameter.expression
            assert ".as(" not in parameter.expression
            for alternative in parameter.expression.split(" | "):
                assert re.match(rf"({resource_type}|Resource|DomainResource)\b", alternative), (resource_type, code)
            assert set(parameter.targets) <= definitions.resource_types
            assert bool(parameter.components) == (parameter.type == "composite")


def test_a_shared_parameter_is_cut_to_its_type(definitions: Definitions) -> None:
    parameters = definitions.search_parameters("Observation")
    assert parameters["patient"].expression == "Observation.subject.where(resolve() is Patient)"
    assert parameters["patient"].targets == ("Patient",)
    assert (
        parameters["value-date"].expression == "Observation.value.ofType(dateTime) | Observation.value.ofType(Period)"
    )
    assert parameters["subject"].targets == ("Device", "Group", "Location", "Patient")
    composite = parameters["code-value-quantity"]
    assert [(c.code, c.type, c.expression) for c in composite.components] == [
        ("code", "token", "code"),
        ("value-quantity", "quantity", "value.ofType(Quantity)"),
    ]
    assert (
        definitions.search_parameters("InsurancePlan")["name"].expression == "InsurancePlan.name | InsurancePlan.alias"
    )
    assert definitions.search_parameters("Condition")["subject"].url.endswith("/Condition-subject")


def test_a_reference_to_anything_targets_every_type_but_parameters(definitions: Definitions) -> None:
    targets = definitions.search_parameters("Provenance")["target"].targets
    assert set(targets) == definitions.resource_types - {"Parameters"}


def test_parameters_without_an_expression_are_left_out(definitions: Definitions) -> None:
    assert not {"age", "birthOrderBoolean", "part-agree", "_text", "_content", "_filter"} & (
        definitions.search_parameters("Patient").keys()
    )


def test_the_patient_compartment_names_search_parameters(definitions: Definitions) -> None:
    assert definitions.compartment("Observation") == ("performer", "subject")
    assert definitions.compartment("Patient") == ("link",)
    assert definitions.compartment("Organization") == ()
    for resource_type in definitions.resource_types:
        assert set(definitions.compartment(resource_type)) <= definitions.search_parameters(resource_type).keys()


def test_guides_name_their_profiles(definitions: Definitions) -> None:
    assert definitions.profiles("Patient") == ("http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient",)
    assert len(definitions.profiles("Condition")) == 2
    assert definitions.profiles("Account") == ()


def test_what_is_unknown_is_a_key_error(definitions: Definitions) -> None:
    for name in ("Nothing", "Observation.nothing", "Patient.name", "../index"):
        with pytest.raises(KeyError):
            definitions.structure(name)
    for name in ("Nothing", "DomainResource"):
        with pytest.raises(KeyError):
            definitions.search_parameters(name)


def test_what_others_derive_is_made_once(definitions: Definitions) -> None:
    made = []

    def build(found: Definitions) -> object:
        made.append(found)
        return object()

    assert definitions.derived(build) is definitions.derived(build)
    assert made == [definitions]


def test_the_digest_is_of_the_data(definitions: Definitions) -> None:
    index = (DATA / "index.json").read_bytes()
    digest = hashlib.sha256(re.sub(rb'\n "digest": "[^"]*",', b"", index))
    packages = ["packages/hl7.fhir.r4.core.json", "packages/hl7.fhir.us.core.json"]
    resources = [f"resources/{name}.json" for name in sorted(definitions.resource_types)]
    names = ["codes.json", "hierarchies.json", *packages, *resources, "summaries.json", "types.json"]
    for name in names:
        digest.update(name.encode() + b"\0" + DATA.joinpath(*name.split("/")).read_bytes())
    assert definitions.digest == f"sha256:{digest.hexdigest()}"


def test_no_code_of_a_licensed_system_is_shipped() -> None:
    systems = {system for value_set in content("codes.json")["valueSets"].values() for system in value_set}
    free = ("http://hl7.org/fhir/", "http://terminology.hl7.org/", "http://unitsofmeasure.org")
    assert [system for system in systems if not (system + "/").startswith(free)] == []


def test_the_facts_hold_no_prose(definitions: Definitions) -> None:
    loaded = [content("types.json"), *(content("resources", f"{name}.json") for name in definitions.resource_types)]
    for file in loaded:
        for row in file["structures"].values():
            assert row.keys() <= {"kind", "base", "abstract", "elements", "invariants"}
            for text in row.get("elements", {}).values():
                assert re.fullmatch(r"[01]\.\.[01*] \S+( http\S+( optional)?)?( ~http\S+)?", text)
            for invariant in row.get("invariants", {}).values():
                assert invariant.keys() <= {"at", "severity", "expression"}
        for row in file.get("search", {}).values():
            assert row.keys() <= {"type", "url", "expression", "targets", "components"}
