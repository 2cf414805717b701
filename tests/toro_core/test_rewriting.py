from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from toro_core.bundles.links import EntryLinks, Linked, is_conditional
from toro_core.definitions import load
from toro_core.rewriting import references, rewritten
from toro_core.storage import Key

_DEFINITIONS = load()
_A, _B = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "http://else.where/fhir/Organization/o"
_LINKS = {_A: Linked(key=Key("Patient", "p"), version=3), _B: Linked(key=Key("Organization", "x"), version=1)}


def _rewritten(resource: dict[str, Any], root: str = "", found: dict[str, Key] | None = None) -> Any:
    given = copy.deepcopy(resource)
    answer = rewritten(resource, EntryLinks(by_url=_LINKS, found=found or {}, root=root), _DEFINITIONS)
    assert resource == given, "what was sent stays as it is"
    return answer


def test_links_are_rewritten_wherever_the_definitions_put_them() -> None:
    patched = _rewritten(
        {
            "resourceType": "Observation",
            "implicitRules": _A,
            "text": {
                "status": "generated",
                "div": f'<div><a href="{_A}">x</a><img alt="a" src=\'{_B}\'/><a name="{_A}" href="#{_A}">{_A}</a></div>',
            },
            "contained": [{"resourceType": "Device", "id": "d", "owner": {"reference": _B}, "url": _A}],
            "extension": [
                {"url": "http://e", "valueReference": {"reference": _A, "display": _A}},
                {"url": "http://e", "valueUri": _A},
                {"url": "http://e", "valueUrl": _B},
                {"url": "http://e", "extension": [{"url": "http://f", "valueReference": {"reference": _B}}]},
            ],
            "_status": {"extension": [{"url": "http://e", "valueReference": {"reference": _A}}]},
            "subject": {"reference": _A, "_reference": {"extension": [{"url": "http://e", "valueUri": _A}]}},
            "performer": [{"reference": _B}, {"reference": "Patient/other"}],
        }
    )
    assert patched["implicitRules"] == "Patient/p"
    assert patched["text"]["div"] == (
        f'<div><a href="Patient/p">x</a><img alt="a" src=\'Organization/x\'/><a name="{_A}" href="#{_A}">{_A}</a></div>'
    )
    assert patched["contained"][0]["owner"] == {"reference": "Organization/x"}
    assert patched["contained"][0]["url"] == "Patient/p"
    first, second, third, fourth = patched["extension"]
    assert first["valueReference"] == {"reference": "Patient/p", "display": _A}
    assert (second["valueUri"], third["valueUrl"]) == ("Patient/p", "Organization/x")
    assert fourth["extension"][0]["valueReference"]["reference"] == "Organization/x"
    assert patched["_status"]["extension"][0]["valueReference"]["reference"] == "Patient/p"
    assert patched["subject"]["reference"] == "Patient/p"
    assert patched["subject"]["_reference"]["extension"][0]["valueUri"] == "Patient/p"
    assert patched["performer"] == [{"reference": "Organization/x"}, {"reference": "Patient/other"}]


def test_what_is_no_link_is_left_alone() -> None:
    extensions = [
        {"url": "http://e", "valueCanonical": _A},
        {"url": "http://e", "valueUuid": _A},
        {"url": "http://e", "valueString": _A},
        {"url": "http://e", "valueReference": {"reference": "#contained"}},
        {"url": "http://e", "valueReference": {"identifier": {"value": _A}}},
    ]
    resource = {
        "resourceType": "Patient",
        "extension": extensions,
        "name": [{"text": _A}],
        "unknown": {"reference": _A},
    }
    assert _rewritten(resource) is resource


def test_a_bundle_inside_of_an_entry_keeps_its_links() -> None:
    entry = {"fullUrl": _A, "link": [{"relation": "self", "url": _A}], "resource": {"resourceType": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "document", "entry": [entry], "link": [{"relation": "self", "url": _A}]}
    assert _rewritten(bundle) is bundle
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "b", "resource": bundle}]}
    assert _rewritten(parameters) is parameters


def test_a_reference_keeps_its_version_and_its_fragment() -> None:
    links = EntryLinks(by_url=_LINKS, found={}, root="http://else.where/fhir/")
    assert links.reference(f"{_B}/_history/9") == "Organization/x/_history/1"
    assert links.reference(f"{_A}#part") == "Patient/p#part"
    assert links.reference("Organization/o") == "Organization/x"
    assert links.reference("Organization/o/_history/2") == "Organization/x/_history/1"
    assert links.reference("Organization/other") == "Organization/other"
    assert links.reference("#x") == "#x"
    assert EntryLinks(by_url=_LINKS, found={}, root="").reference("Organization/o") == "Organization/o"


def test_conditional_references_are_searches_of_a_known_type() -> None:
    types = _DEFINITIONS.resource_types
    assert is_conditional("Practitioner?identifier=a|b", types)
    for text in ("Practitioner/1", "Practitioner?", "Nothing?a=b", "http://x/Practitioner?a=b", "?a=b", "#a?b=c"):
        assert not is_conditional(text, types)
    found = {"Practitioner?identifier=1": Key("Practitioner", "z")}
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "generalPractitioner": [{"reference": "Practitioner?identifier=1"}],
    }
    assert _rewritten(resource, found=found)["generalPractitioner"] == [{"reference": "Practitioner/z"}]
    assert references(resource, _DEFINITIONS) == ("Practitioner?identifier=1",)


_TEXTS = st.sampled_from([_A, _B, f"{_A}/_history/2", "Patient/1", "#c", "urn:oid:1.2", "", "x"])
_REFERENCES = st.fixed_dictionaries({}, optional={"reference": _TEXTS, "display": _TEXTS, "type": _TEXTS})
_EXTENSIONS = st.recursive(
    st.fixed_dictionaries({"url": _TEXTS}, optional={"valueReference": _REFERENCES, "valueString": _TEXTS}),
    lambda inner: st.fixed_dictionaries({"url": _TEXTS, "extension": st.lists(inner, max_size=2)}),
    max_leaves=4,
)
_RESOURCES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Observation", "Encounter", "Provenance", "Basic"])},
    optional={
        "extension": st.lists(_EXTENSIONS, max_size=3),
        "subject": _REFERENCES,
        "target": st.lists(_REFERENCES, max_size=3),
        "contained": st.lists(
            st.fixed_dictionaries({"resourceType": st.just("Basic"), "subject": _REFERENCES}), max_size=2
        ),
        "_language": st.fixed_dictionaries({"extension": st.lists(_EXTENSIONS, max_size=2)}),
        "text": st.fixed_dictionaries({"div": _TEXTS}),
        "status": st.none() | st.integers() | _TEXTS,
        "subjects": _REFERENCES,
    },
)


@given(_RESOURCES)
def test_what_is_rewritten_and_rewritten_back_is_what_was_sent(resource: dict[str, Any]) -> None:
    away = {_A: "urn:uuid:11111111-1111-4111-8111-111111111111", _B: "http://other/fhir/Patient/9"}

    class Swap:
        def __init__(self, table: dict[str, str]) -> None:
            self._table = table

        def reference(self, text: str) -> str:
            return self._table.get(text, text)

        address = reference

    there = rewritten(resource, Swap(away), _DEFINITIONS)
    assert all(text not in away for text in references(there, _DEFINITIONS))
    assert rewritten(there, Swap({new: old for old, new in away.items()}), _DEFINITIONS) == resource


@given(_RESOURCES)
def test_without_links_the_very_same_resource_comes_back(resource: dict[str, Any]) -> None:
    assert rewritten(resource, EntryLinks(by_url={}, found={}, root=""), _DEFINITIONS) is resource
