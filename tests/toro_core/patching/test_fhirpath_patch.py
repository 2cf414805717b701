from __future__ import annotations

import json
from typing import Any

import pytest

from toro_core.definitions import load
from toro_core.json import dumps, loads
from toro_core.patching.fhirpath_patch import parse_fhirpath_patch
from toro_core.rejections import InvalidPatch, PatchFailed

_DEFINITIONS = load()
_NAMES = (
    '{"resourceType":"Patient","name":[{"use":"official","family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},'
    '{"use":"usual","given":["z"]}],"birthDate":"1970-01-01"}'
)


def _operation(type_: str, path: str, **parts: Any) -> dict[str, Any]:
    given = [{"name": "type", "valueCode": type_}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        if name in ("index", "source", "destination"):
            given.append({"name": name, "valueInteger": value})
        elif name == "name":
            given.append({"name": name, "valueString": value})
        else:
            given.append({"name": "value", **value})
    return {"name": "operation", "part": given}


def _apply(document: str, *operations: dict[str, Any]) -> Any:
    patch = parse_fhirpath_patch(
        json.dumps({"resourceType": "Parameters", "parameter": operations}).encode(), _DEFINITIONS
    )
    first = dumps(patch.apply(loads(document.encode())))
    assert dumps(patch.apply(loads(document.encode()))) == first, "a patch may be applied again"
    return json.loads(first)


def test_a_value_is_added_where_it_does_not_repeat() -> None:
    patched = _apply(_NAMES, _operation("add", "Patient", name="gender", value={"valueCode": "female"}))
    assert patched["gender"] == "female"
    with pytest.raises(PatchFailed, match="there already"):
        _apply(_NAMES, _operation("add", "Patient", name="birthDate", value={"valueDate": "1970-01-02"}))


def test_a_value_is_appended_where_it_repeats() -> None:
    patched = _apply(
        _NAMES,
        _operation("add", "Patient.name[1]", name="given", value={"valueString": "w"}),
        _operation("add", "Patient.name.where(use = 'official')", name="given", value={"_valueString": {"id": "n"}}),
        _operation("add", "Patient", name="photo", value={"valueAttachment": {"title": "t"}}),
    )
    assert patched["name"][1]["given"] == ["z", "w"]
    assert patched["name"][0]["given"] == ["x", "y", None]
    assert patched["name"][0]["_given"] == [None, {"id": "g"}, {"id": "n"}]
    assert patched["photo"] == [{"title": "t"}]


def test_an_element_without_a_type_of_its_own_is_made_of_parts() -> None:
    parts = [
        {"name": "name", "valueHumanName": {"family": "C"}},
        {"name": "telecom", "valueContactPoint": {"value": "1"}},
        {"name": "telecom", "valueContactPoint": {"value": "2"}},
        {"name": "gender", "valueCode": "male"},
    ]
    patched = _apply(
        _NAMES, _operation("add", "Patient", name="contact", value={"part": parts}) | {"name": "operation"}
    )
    contact = {"name": {"family": "C"}, "telecom": [{"value": "1"}, {"value": "2"}], "gender": "male"}
    assert patched["contact"] == [contact]


def test_values_are_inserted_moved_and_deleted_with_what_stands_beside_them() -> None:
    inserted = _apply(_NAMES, _operation("insert", "Patient.name[0].given", index=0, value={"valueString": "w"}))
    assert inserted["name"][0]["given"] == ["w", "x", "y"]
    assert inserted["name"][0]["_given"] == [None, None, {"id": "g"}]
    moved = _apply(_NAMES, _operation("move", "Patient.name[0].given", source=1, destination=0))
    assert (moved["name"][0]["given"], moved["name"][0]["_given"]) == (["y", "x"], [{"id": "g"}, None])
    deleted = _apply(_NAMES, _operation("delete", "Patient.name.first().given.last()"))
    assert deleted["name"][0]["given"] == ["x"]
    assert "_given" not in deleted["name"][0]
    assert "given" not in _apply(_NAMES, _operation("delete", "Patient.name[1].given[0]"))["name"][1]
    assert "birthDate" not in _apply(_NAMES, _operation("delete", "Patient.birthDate"))
    assert _apply(_NAMES, _operation("delete", "Patient.gender")) == json.loads(_NAMES)
    whole = _apply(_NAMES, _operation("move", "Patient.name", source=0, destination=1))
    assert [name["use"] for name in whole["name"]] == ["usual", "official"]


def test_a_value_is_replaced_by_one_of_another_type_where_it_may_be() -> None:
    observation = '{"resourceType":"Observation","valueString":"old","_valueString":{"id":"x"},"code":{"text":"c"}}'
    patched = _apply(
        observation, _operation("replace", "Observation.value", value={"valueQuantity": {"value": 1, "unit": "g"}})
    )
    assert patched == {"resourceType": "Observation", "code": {"text": "c"}, "valueQuantity": {"value": 1, "unit": "g"}}
    replaced = _apply(_NAMES, _operation("replace", "Patient.name[0].given[1]", value={"valueString": "new"}))
    assert replaced["name"][0]["given"] == ["x", "new"]
    assert "_given" not in replaced["name"][0]
    with pytest.raises(PatchFailed, match="type it cannot have"):
        _apply(observation, _operation("replace", "Observation.value", value={"valueHumanName": {"family": "x"}}))


def test_extensions_choices_and_contained_resources_are_reached() -> None:
    document = (
        '{"resourceType":"Patient","extension":[{"url":"http://a","valueString":"1"},{"url":"http://b","valueCode":"2"}],'
        '"contained":[{"resourceType":"Organization","id":"o","name":"old"}],"multipleBirthInteger":2}'
    )
    patched = _apply(
        document,
        _operation("replace", "Patient.extension('http://b').value", value={"valueCode": "3"}),
        _operation("replace", "Patient.contained.where(id = 'o').name", value={"valueString": "new"}),
        _operation("delete", "Patient.multipleBirth.ofType(integer)"),
        _operation("delete", "extension.where(url = 'http://a')"),
    )
    assert patched["extension"] == [{"url": "http://b", "valueCode": "3"}]
    assert patched["contained"][0]["name"] == "new"
    assert "multipleBirthInteger" not in patched


@pytest.mark.parametrize(
    "operation",
    [
        _operation("replace", "Patient.gender", value={"valueCode": "male"}),
        _operation("replace", "Patient.name.given", value={"valueString": "male"}),
        _operation("replace", "Patient", value={"valueString": "male"}),
        _operation("delete", "Patient.name"),
        _operation("delete", "Patient"),
        _operation("add", "Patient.name", name="text", value={"valueString": "t"}),
        _operation("add", "Patient", name="nothing", value={"valueString": "t"}),
        _operation("add", "Patient.birthDate", name="nothing", value={"valueString": "t"}),
        _operation("insert", "Patient.name[0].given", index=3, value={"valueString": "t"}),
        _operation("insert", "Patient.name.given", index=0, value={"valueString": "t"}),
        _operation("insert", "Patient.telecom", index=0, value={"valueString": "t"}),
        _operation("move", "Patient.name", source=0, destination=2),
        _operation("move", "Patient.birthDate", source=0, destination=0),
        _operation("move", "Observation.code", source=0, destination=0),
    ],
)
def test_what_does_not_apply_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchFailed, match="nothing was written"):
        _apply(_NAMES, operation)


@pytest.mark.parametrize(
    "operation",
    [
        {"name": "other"},
        _operation("merge", "Patient"),
        _operation("add", "Patient", name="gender"),
        _operation("insert", "Patient.name", value={"valueString": "t"}),
        _operation("move", "Patient.name", source=-1, destination=0),
        _operation("delete", "Patient.nothing"),
        _operation("delete", "Patient.name["),
        _operation("delete", "Patient.name.where(nothing = 1)"),
        _operation("delete", "Patient.name.where(use = 'official'"),
        _operation("delete", "Patient.name.descendants()"),
        _operation("delete", "1"),
        _operation("delete", ""),
        _operation("replace", "Patient.birthDate", value={}),
        _operation("replace", "Patient.birthDate", value={"valueDate": "1970", "valueString": "1970"}),
        {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}]},
        {"name": "operation", "part": {}},
    ],
)
def test_a_malformed_patch_is_refused_without_a_word_of_its_values(operation: dict[str, Any]) -> None:
    with pytest.raises(InvalidPatch) as caught:
        _apply(_NAMES, operation)
    assert "official" not in str(caught.value)


def test_only_parameters_are_a_patch() -> None:
    with pytest.raises(InvalidPatch):
        parse_fhirpath_patch(b'{"resourceType":"Patient"}', _DEFINITIONS)
