"""Every supported search parameter of the published types finds what its expression says."""

import lzma
import re
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from toro_core.definitions import Definitions
from toro_core.fhirpath.branches import Branch
from toro_core.json import loads
from toro_core.plugins import open_storage
from toro_core.resources import body
from toro_core.search.dates import interval
from toro_core.search.evaluate import matches
from toro_core.search.extract import Extractor
from toro_core.search.layout import Searchable
from toro_core.search.parse import SearchParser
from toro_core.search.plan import SearchPlan, SortKey
from toro_core.search.query import Parameter
from toro_core.search.values import split_escaped
from toro_core.storage import Key, Rows, Storage, Stored, Write
from toro_core.testing.making import walk

TYPES = [
    "Account",
    "AllergyIntolerance",
    "Appointment",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Patient",
    "Practitioner",
    "ServiceRequest",
]
SAMPLES: dict[str, Any] = {
    "Address": {"text": "Wien", "city": "Wien"},
    "Age": {"value": 5, "system": "http://unitsofmeasure.org", "code": "a"},
    "boolean": True,
    "canonical": "http://example.org/q",
    "code": "final",
    "CodeableConcept": {"coding": [{"code": "c"}], "text": "t"},
    "Coding": {"code": "c"},
    "Count": {"value": 5},
    "decimal": Decimal("1.5"),
    "Duration": {"value": 5},
    "integer": 5,
    "Money": {"value": 5, "currency": "EUR"},
    "Quantity": {"value": Decimal("5.4"), "system": "http://unitsofmeasure.org", "code": "mg"},
    "Range": {"low": {"value": 1}, "high": {"value": 2}},
    "ContactPoint": {"system": "phone", "value": "1"},
    "date": "2024-01-31",
    "dateTime": "2024-01-31T08:00:00Z",
    "HumanName": {"family": "Lee"},
    "Identifier": {"value": "1"},
    "id": "1",
    "instant": "2024-01-31T08:00:00Z",
    "markdown": "text",
    "Period": {"start": "2024"},
    "Reference": {"reference": "Patient/1"},
    "string": "text",
    "Timing": {"event": ["2024"]},
    "uri": "http://example.org",
    "url": "http://example.org",
}
# Values that the conditions of an expression let pass, which a sample of the type alone does not say.
CONDITIONED: dict[tuple[str, str], dict[str, Any]] = {
    **{(t, "email"): {"telecom": [{"system": "email", "value": "a@b"}]} for t in ("Patient", "Practitioner")},
    **{(t, "phone"): {"telecom": [{"system": "phone", "value": "1"}]} for t in ("Patient", "Practitioner")},
    ("Appointment", "location"): {"participant": [{"actor": {"reference": "Location/1"}}]},
    ("Appointment", "practitioner"): {"participant": [{"actor": {"reference": "Practitioner/1"}}]},
    ("Encounter", "practitioner"): {"participant": [{"individual": {"reference": "Practitioner/1"}}]},
}
# The specification's examples do not have these elements, or only with a contained resource or a display.
UNUSED = {
    "Condition.asserted-date",
    "DiagnosticReport.assessed-condition",
    "DiagnosticReport.encounter",
    "DiagnosticReport.results-interpreter",
    "DiagnosticReport.specimen",
    "Encounter.location",
    "Encounter.reason-reference",
    "Immunization.reaction",
    "Immunization.reaction-date",
    "Immunization.reason-reference",
    "MedicationStatement.medication",
    "Observation.amino-acid-change",
    "Observation.based-on",
    "Observation.dna-variant",
    "Observation.gene-amino-acid-change",
    "Observation.gene-dnavariant",
    "Patient.ethnicity",
    "Patient.gender-identity",
    "Patient.race",
    "ServiceRequest.instantiates-canonical",
    "ServiceRequest.instantiates-uri",
    "ServiceRequest.replaces",
    "ServiceRequest.specimen",
}


HL7 = "http://hl7.org/fhir/StructureDefinition"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"


def extended(url: str, **value: Any) -> dict[str, Any]:
    return {"extension": [{"url": url, **value}]}


def with_sample(definitions: Definitions, resource_type: str, branch: Branch) -> dict[str, Any]:
    """Return a resource that has a sample value where the branch looks."""
    resource: dict[str, Any] = {"resourceType": resource_type, "id": "1"}
    place, structure = resource, definitions.structure(resource_type)
    for member in branch.path[:-1]:
        element, choice = structure.members[member]
        inner: dict[str, Any] = {}
        place[member] = [inner] if element.repeats else inner
        place, structure = inner, definitions.structure(choice.type)
    element, choice = structure.members[branch.path[-1]]
    place[branch.path[-1]] = [SAMPLES[choice.type]] if element.repeats else SAMPLES[choice.type]
    return resource


# Extensions are looked for by address: resources that have them.
EXTENDED: dict[tuple[str, str], dict[str, Any]] = {
    ("Condition", "asserted-date"): extended(f"{HL7}/condition-assertedDate", valueDateTime="2024"),
    ("DiagnosticReport", "assessed-condition"): extended(
        f"{HL7}/DiagnosticReport-geneticsAssessedCondition", valueReference={"reference": "Condition/1"}
    ),
    **{
        ("Observation", code): extended(
            f"{HL7}/observation-genetics{name}", valueCodeableConcept=SAMPLES["CodeableConcept"]
        )
        for code, name in {
            "amino-acid-change": "AminoAcidChange",
            "dna-variant": "Variant",
            "gene-amino-acid-change": "AminoAcidChange",
            "gene-dnavariant": "Variant",
            "gene-identifier": "Gene",
        }.items()
    },
    ("Patient", "mothersMaidenName"): extended(f"{HL7}/patient-mothersMaidenName", valueString="Lee"),
    ("Patient", "gender-identity"): extended(
        f"{US_CORE}/us-core-genderIdentity", valueCodeableConcept=SAMPLES["CodeableConcept"]
    ),
    **{
        ("Patient", code): extended(
            f"{US_CORE}/us-core-{code}",
            extension=[{"url": "ombCategory", "valueCoding": {"system": "urn:x", "code": "c"}}],
        )
        for code in ("race", "ethnicity")
    },
}


def samples(
    definitions: Definitions, resource_type: str, code: str, searchable: Searchable
) -> Iterator[tuple[Searchable, dict[str, Any]]]:
    """Give resources that have what the parameter looks for, one for each place."""
    known = {**CONDITIONED, **EXTENDED}
    if (resource_type, code) in known:
        yield searchable, {"resourceType": resource_type, **known[resource_type, code]}
    elif searchable.compositions:
        for composition in searchable.compositions:
            resource: dict[str, Any] = {}
            for component in composition.components:
                branch = component.searchable.branches[0]
                resource = merged(resource, with_sample(definitions, resource_type, branch))
            yield searchable, resource
    else:
        for branch in searchable.branches:
            resource = (
                with_sample(definitions, resource_type, branch) if branch.path else {"resourceType": resource_type}
            )
            yield searchable, resource


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: merged(one.get(key, value), value) for key, value in {**one, **other}.items()} if one else other
    if isinstance(one, list) and isinstance(other, list):
        return [merged(*pair) for pair in zip(one, other, strict=True)]
    return one


def asked(searchable: Searchable, rows: Rows) -> Iterator[str]:
    """Give values that a search for the rows would have, for each row of the parameter."""
    if searchable.compositions:
        for composition in searchable.compositions:
            values = [next(asked(component.searchable, rows), None) for component in composition.components]
            if all(values):
                yield "$".join(map(str, values))
        return
    for param, target in searchable.parts:
        for token in rows.tokens:
            if token.param == param and (token.system or token.code):
                yield f"{escaped(token.system)}|{escaped(token.code)}" if token.system else escaped(token.code)
        yield from (escaped(row.exact) for row in rows.strings if row.param == param)
        yield from (escaped(row.value) for row in rows.uris if row.param == param)
        for reference in rows.references:
            if reference.param == param and target in {"", reference.type}:
                yield f"{reference.type}/{reference.id}"
        for date in rows.dates:
            if date.param == param:
                low = max(date.low, interval("1000")[0])
                yield f"ge{datetime.fromtimestamp(low / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"
        yield from (f"ge{max(row.low, -1e9):f}" for row in rows.numbers if row.param == param)
        for quantity in rows.quantities:
            if quantity.param == param:
                unit = f"|{escaped(quantity.system)}|{escaped(quantity.code)}" if quantity.code else ""
                yield f"ge{Decimal(max(quantity.low, -1e9)):.17f}".rstrip("0").rstrip(".") + unit


def escaped(text: str) -> str:
    return re.sub(r"([\\,|$])", r"\\\1", text)


@pytest.fixture(scope="module")
def parser(extractor: Extractor) -> SearchParser:
    return SearchParser(extractor)


def finds(parser: SearchParser, resource_type: str, code: str, value: str, rows: Rows) -> bool:
    parameter = Parameter(code=code, values=tuple(split_escaped(value, ",")))
    return matches(parser.parse(resource_type, [parameter]).criterion, Key(resource_type, "1"), 0, rows)


@pytest.mark.parametrize("resource_type", TYPES)
def test_all_parameters_of_the_published_types_work(
    resource_type: str, extractor: Extractor, definitions: Definitions
) -> None:
    assert set(extractor.parameters(resource_type)) == set(definitions.search_parameters(resource_type))
    assert {"_id", "_lastUpdated", "_tag", "_profile", "_source", "_security"} <= set(
        extractor.parameters(resource_type)
    )


@pytest.mark.parametrize("resource_type", TYPES)
def test_each_parameter_finds_what_is_at_each_place_it_looks_at(
    resource_type: str, extractor: Extractor, definitions: Definitions, parser: SearchParser
) -> None:
    for code, searchable in extractor.searchables(resource_type).items():
        for wanted, resource in samples(definitions, resource_type, code, searchable):
            rows = extractor.rows(resource)
            values = list(asked(wanted, rows))
            assert values, f"{resource_type}.{code} has no rows of {resource}"
            for value in values:
                assert finds(parser, resource_type, code, value, rows), f"{code}={value}"
                if code != "deceased":
                    assert not finds(parser, resource_type, code, value, Rows()), f"{code}={value} finds nothing at all"


@pytest.mark.parametrize("resource_type", TYPES)
def test_each_parameter_tells_what_has_it_from_what_lacks_it(
    resource_type: str, extractor: Extractor, definitions: Definitions, parser: SearchParser
) -> None:
    def missing(code: str, value: str, rows: Rows) -> bool:
        parameter = Parameter(code=code, modifier="missing", values=(value,))
        return matches(parser.parse(resource_type, [parameter]).criterion, Key(resource_type, "1"), 0, rows)

    for code, searchable in extractor.searchables(resource_type).items():
        if searchable.compositions:
            continue
        for _, resource in samples(definitions, resource_type, code, searchable):
            rows = extractor.rows(resource)
            assert missing(code, "false", rows), f"{resource_type}.{code}"
            assert not missing(code, "true", rows), f"{resource_type}.{code}"
        if searchable.parts:
            assert missing(code, "true", Rows()), f"{resource_type}.{code}"
            assert not missing(code, "false", Rows()), f"{resource_type}.{code}"


@pytest.mark.parametrize(
    ("resource_type", "code", "resource"),
    [
        ("ServiceRequest", "occurrence", {"occurrenceTiming": {"repeat": {"frequency": 1, "period": 1}}}),
        ("ServiceRequest", "occurrence", {"occurrenceTiming": {"code": {"text": "BID"}}}),
        ("ServiceRequest", "occurrence", {"occurrencePeriod": {"extension": [{"url": "u", "valueCode": "unknown"}]}}),
        ("Observation", "value-quantity", {"valueQuantity": {"unit": "mg"}}),
        ("Observation", "value-string", {"valueString": "\u0301"}),
        ("Condition", "onset-age", {"onsetRange": {"high": {"unit": "a"}}}),
        ("Observation", "component-value-quantity", {"component": [{"valueQuantity": {"code": "mg"}}]}),
        ("RiskAssessment", "probability", {"prediction": [{"probabilityRange": {"low": {"unit": "%"}}}]}),
        ("Patient", "gender-identity", extended(f"{US_CORE}/us-core-genderIdentity", valueCodeableConcept={"id": "1"})),
        ("Observation", "subject", {"subject": {"display": "somebody"}}),
    ],
)
def test_an_element_without_anything_to_search_for_is_not_missing(
    resource_type: str, code: str, resource: dict[str, Any], extractor: Extractor, parser: SearchParser
) -> None:
    rows = extractor.rows({"resourceType": resource_type, **resource})
    for value, there in (("false", True), ("true", False)):
        parameter = Parameter(code=code, modifier="missing", values=(value,))
        criterion = parser.parse(resource_type, [parameter]).criterion
        assert matches(criterion, Key(resource_type, "1"), 0, rows) == there
    assert code not in {row.param for row in rows.orders}


def archive(name: str) -> Path:
    path = Path(__file__).parents[4] / "shared" / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository")
    return path


def test_each_parameter_finds_the_examples_of_the_specification(extractor: Extractor, parser: SearchParser) -> None:
    found: Counter[str] = Counter()
    with tarfile.open(fileobj=lzma.open(archive("hl7-r4-spec-examples.tar.xz"))) as examples:
        for member in examples:
            resource_type = Path(member.name).name.partition("-")[0]
            if resource_type in TYPES and (file := examples.extractfile(member)):
                rows = extractor.rows(loads(file.read()))
                for code, searchable in extractor.searchables(resource_type).items():
                    for value in asked(searchable, rows):
                        assert finds(parser, resource_type, code, value, rows), f"{member.name}: {code}={value}"
                        found[f"{resource_type}.{code}"] += 1
    missing = [
        f"{resource_type}.{code}"
        for resource_type in TYPES
        for code in extractor.parameters(resource_type)
        if not code.startswith("_") and not found[f"{resource_type}.{code}"]
    ]
    assert set(missing) == UNUSED


class Real:
    """Real resources of the published types in a database, with their rows for the plain reference to judge by."""

    def __init__(self, storage: Storage, parser: SearchParser, extractor: Extractor) -> None:
        self.storage, self.parser, self.extractor = storage, parser, extractor
        self.known: dict[str, dict[str, tuple[Stored, Rows]]] = {name: {} for name in TYPES}

    async def store(self, resources: list[Any]) -> None:
        for start in range(0, len(resources), 200):
            writes = [
                Write(
                    key=Key(resource["resourceType"], resource["id"]),
                    body=body(resource, resource["id"]),
                    rows=self.extractor.rows(resource),
                )
                for resource in resources[start : start + 200]
            ]
            for write, stored in zip(writes, await self.storage.commit(writes), strict=True):
                self.known[write.key.type][write.key.id] = stored, write.rows

    async def found(self, resource_type: str, code: str, modifier: str, value: str) -> set[str]:
        """Search by one value; what the storage finds, and counts, is what the reference finds."""
        parameter = Parameter(code=code, modifier=modifier, values=tuple(split_escaped(value, ",")))
        plan = SearchPlan(type=resource_type, criterion=self.parser.parse(resource_type, [parameter]).criterion)
        ids = await walk(self.storage, replace(plan, limit=1000))
        assert len(set(ids)) == len(ids) == await self.storage.count(plan), parameter
        assert set(ids) == {
            id_
            for id_, (stored, rows) in self.known[resource_type].items()
            if matches(plan.criterion, stored.key, stored.at, rows)
        }, parameter
        return set(ids)

    async def sorted(self, resource_type: str, code: str, descending: bool) -> list[str]:
        sort = SortKey(param=self.extractor.sort_key(resource_type, code), descending=descending)
        return await walk(self.storage, SearchPlan(type=resource_type, sort=(sort,), limit=97))


def published_examples(packed: Path, folder: str) -> Iterator[Any]:
    with tarfile.open(packed) as members:
        for member in members:
            file = members.extractfile(member) if member.name.endswith(".json") and folder in member.name else None
            if file is None:
                continue
            resource: Any = loads(file.read())
            entries = resource.get("entry", ()) if resource.get("resourceType") == "Bundle" else ()
            for each in (resource, *(entry["resource"] for entry in entries if "resource" in entry)):
                if each.get("resourceType") in TYPES and "id" in each:
                    yield each


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(
    extractor: Extractor, parser: SearchParser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Real]:
    specification = archive("hl7-r4-spec-examples.tar.xz")
    guide = specification.parents[1] / "spec" / "packages" / "hl7.fhir.us.core-6.1.0.tgz"
    resources = {
        (each["resourceType"], each["id"]): each
        for each in (*published_examples(specification, ""), *published_examples(guide, "/example/"))
    }
    path = tmp_path_factory.mktemp("real") / "toro.db"
    async with open_storage(f"sqlite:///{path}") as storage:
        made = Real(storage, parser, extractor)
        await made.store(list(resources.values()))
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("resource_type", TYPES)
async def test_each_parameter_finds_real_resources_in_a_database(
    resource_type: str, real: Real, extractor: Extractor, definitions: Definitions
) -> None:
    for code, searchable in extractor.searchables(resource_type).items():
        known = real.known[resource_type]
        holders = {id_: found for id_, (_, rows) in known.items() if (found := list(asked(searchable, rows)))}
        if code == "_id":
            holders = {id_: [id_] for id_ in list(known)[:2]}
        elif code == "_lastUpdated":
            holders = {id_: [instant(stored.at)] for id_, (stored, _) in list(known.items())[:2]}
        elif not holders:
            # Nobody publishes one: a real resource gets a sample.
            wanted, sample = next(samples(definitions, resource_type, code, searchable))
            plain = loads(next(iter(known.values()))[0].json)
            await real.store([{**plain, **sample, "id": f"with.{code}".replace("_", "-")[:64]}])
            holders = {id_: list(asked(wanted, known[id_][1])) for id_ in [f"with.{code}".replace("_", "-")[:64]]}
        assert all(holders.values()), f"{resource_type}.{code}"
        for id_, values in (*list(holders.items())[:2], *list(holders.items())[-1:]):
            assert id_ in await real.found(resource_type, code, "", values[0]), f"{code}={values[0]}"
            either = f"{values[-1]},{next(iter(holders.values()))[0]}"
            assert id_ in await real.found(resource_type, code, "", either), f"{code}={either}"
        if searchable.compositions:
            continue
        there = await real.found(resource_type, code, "missing", "false")
        absent = await real.found(resource_type, code, "missing", "true")
        assert there | absent == set(known)
        assert not there & absent
        assert there >= set(holders) or code == "deceased"
        for descending in (False, True):
            ids = await real.sorted(resource_type, code, descending)
            assert sorted(ids) == sorted(known), code


def instant(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03}Z"
