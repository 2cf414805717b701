import math
from decimal import Decimal
from typing import Any

import pytest

from toro_core.definitions import Definitions
from toro_core.search.dates import interval
from toro_core.search.extract import Extractor
from toro_core.search.numbers import GREATEST
from toro_core.search.plan import FOREVER, MISSING
from toro_core.search.ucum import UCUM
from toro_core.storage import DateRow, OrderRow, QuantityRow, ReferenceRow, Rows, StringRow, TokenRow, UriRow

LOINC = "http://loinc.org"


def coded(*codings: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"coding": list(codings), **more}


def of(rows: Rows, param: str) -> list[Any]:
    found: tuple[Any, ...] = (
        *rows.tokens,
        *rows.strings,
        *rows.dates,
        *rows.references,
        *rows.uris,
        *rows.numbers,
        *rows.quantities,
    )
    return [row for row in found if row.param == param]


def test_a_concept_gives_a_token_for_each_coding_and_none_for_its_text(extractor: Extractor) -> None:
    code = coded({"system": LOINC, "code": "1"}, {"code": "x"}, {"system": "http://s"}, {"display": "d"}, text="t")
    rows = extractor.rows({"resourceType": "Observation", "code": code})
    expected = [TokenRow("code", LOINC, "1"), TokenRow("code", "", "x"), TokenRow("code", "http://s", "")]
    assert of(rows, "code") == expected
    assert of(rows, "code:text") == [UriRow("code:text", "d"), UriRow("code:text", "t")]
    assert of(rows, "combo-code") == [], "rows are shared, not repeated"


def test_a_concept_without_codes_says_that_it_is_there(extractor: Extractor) -> None:
    rows = extractor.rows({"resourceType": "Observation", "code": {"text": "t"}})
    assert of(rows, "code") == [TokenRow("code", "", "")]


def test_a_bound_code_gets_the_system_its_binding_implies(extractor: Extractor) -> None:
    rows = extractor.rows({"resourceType": "Patient", "gender": "male"})
    assert of(rows, "gender") == [TokenRow("gender", "http://hl7.org/fhir/administrative-gender", "male")]


def test_identifiers_contacts_and_booleans_are_tokens(extractor: Extractor) -> None:
    rows = extractor.rows(
        {
            "resourceType": "Patient",
            "active": True,
            "identifier": [{"system": "urn:oid:1", "value": "7"}, {"value": "8"}, {"use": "old"}],
            "telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "a@b"}, {"value": "9"}],
        }
    )
    assert of(rows, "active") == [TokenRow("active", "", "true")]
    assert of(rows, "identifier") == [
        TokenRow("identifier", "urn:oid:1", "7"),
        TokenRow("identifier", "", "8"),
        TokenRow("identifier", "", ""),
    ]
    assert of(rows, "phone") == [TokenRow("phone", "phone", "555")]
    assert of(rows, "email") == [TokenRow("email", "email", "a@b")]
    assert of(rows, "telecom")[-1] == TokenRow("telecom", "", "9")


@pytest.mark.parametrize(
    ("deceased", "code"),
    [
        ({}, "false"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedDateTime": "2020"}, "true"),
    ],
)
def test_every_patient_is_deceased_or_not(deceased: dict[str, Any], code: str, extractor: Extractor) -> None:
    assert of(extractor.rows({"resourceType": "Patient", **deceased}), "deceased") == [TokenRow("deceased", "", code)]


def test_names_and_addresses_are_strings_part_by_part(extractor: Extractor) -> None:
    name: dict[str, Any] = {
        "text": "Dr. José Díaz",
        "family": "Díaz",
        "given": ["José", None],
        "prefix": ["Dr."],
        "suffix": ["MD"],
        "use": "usual",
    }
    address: dict[str, Any] = {
        "line": ["1 High St"],
        "city": "Wien",
        "state": "W",
        "postalCode": "1010",
        "country": "AT",
        "use": "home",
    }
    rows = extractor.rows({"resourceType": "Patient", "name": [name], "address": [address]})
    assert [row.folded for row in of(rows, "name")] == ["dr. jose diaz", "dr.", "md"]
    assert of(rows, "family") == [StringRow("family", "diaz", "Díaz")]
    assert of(rows, "given") == [StringRow("given", "jose", "José")]
    assert [row.exact for row in of(rows, "address")] == ["1 High St"]
    assert [row.exact for row in of(rows, "address-city")] == ["Wien"]
    assert {row.param for row in rows.orders} >= {"name+", "address+", "family", "address-city"}
    assert [row.code for row in of(rows, "address-use")] == ["home"]


def test_references_are_local_elsewhere_or_left_out(extractor: Extractor) -> None:
    targets = ["Patient/1", "https://toro.example/fhir/Group/2", "https://other.example/Patient/3", "#c", "urn:uuid:x"]
    rows = [extractor.rows({"resourceType": "Observation", "subject": {"reference": target}}) for target in targets]
    nothing = TokenRow("subject", "", "")
    assert [row for found in rows for row in of(found, "subject")] == [
        ReferenceRow("subject", "Patient", "1", ""),
        ReferenceRow("subject", "Group", "2", ""),
        UriRow("subject", "https://other.example/Patient/3"),
        nothing,
        nothing,
    ]
    assert [len(of(found, "subject:Patient")) for found in rows] == [0, 0, 1, 0, 0]
    assert not any(of(found, "patient") for found in rows), "rows are shared, not repeated"


def test_a_logical_reference_is_found_by_its_identifier(extractor: Extractor) -> None:
    subject: dict[str, Any] = {"type": "Patient", "identifier": {"system": "s", "value": "1"}}
    rows = extractor.rows({"resourceType": "Observation", "subject": subject})
    assert of(rows, "subject:identifier") == [TokenRow("subject:identifier", "s", "1")]
    assert of(rows, "subject:identifier:Patient") == [TokenRow("subject:identifier:Patient", "s", "1")]
    untyped = extractor.rows({"resourceType": "Observation", "subject": {"identifier": {"value": "1"}}})
    assert of(untyped, "subject:identifier") == [TokenRow("subject:identifier", "", "1")]
    assert of(untyped, "subject:identifier:Patient") == []


def test_a_typed_identifier_has_a_row_of_its_type(extractor: Extractor) -> None:
    identifier: dict[str, Any] = {"type": coded({"system": "http://t", "code": "MR"}, text="Record"), "value": "7"}
    rows = extractor.rows({"resourceType": "Patient", "identifier": [identifier]})
    assert of(rows, "identifier:of-type") == [TokenRow("identifier:of-type", "http://t", "MR|7")]
    assert of(rows, "identifier:text") == [UriRow("identifier:text", "record")]


def test_a_quantity_has_rows_as_published_and_in_its_canonical_unit(extractor: Extractor) -> None:
    quantity: dict[str, Any] = {"value": Decimal("5.4"), "unit": "milligrams", "system": UCUM, "code": "mg"}
    rows = extractor.rows({"resourceType": "Observation", "valueQuantity": quantity})
    assert of(rows, "value-quantity") == [
        QuantityRow("value-quantity", "", "mg", 5.4, 5.4),
        QuantityRow("value-quantity", "", "milligrams", 5.4, 5.4),
        QuantityRow("value-quantity", UCUM, "g", 0.0054, 0.0054),
    ]
    assert OrderRow("value-quantity", 0.0054, 0.0054) in rows.orders


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"value": 1}, [("", "", 1.0, 1.0)]),
        ({"value": 1, "unit": "tablet"}, [("", "tablet", 1.0, 1.0)]),
        ({"value": 1, "system": "http://s", "code": "x"}, [("", "x", 1.0, 1.0), ("http://s", "x", 1.0, 1.0)]),
        ({"value": 1, "system": UCUM, "code": "[foo]"}, [("", "[foo]", 1.0, 1.0), (UCUM, "[foo]", 1.0, 1.0)]),
        ({"value": 5, "comparator": "<="}, [("", "", -GREATEST, 5.0)]),
        ({"value": 5, "comparator": ">"}, [("", "", math.nextafter(5, 6), GREATEST)]),
        ({"value": Decimal("1e999")}, [("", "", GREATEST, GREATEST)]),
        ({"value": Decimal("1e999"), "system": UCUM, "code": "mg"}, [("", "mg", GREATEST, GREATEST)]),
        ({"unit": "mg"}, [("", "")]),
    ],
)
def test_quantities_of_every_shape(quantity: dict[str, Any], expected: list[Any], extractor: Extractor) -> None:
    rows = extractor.rows({"resourceType": "Observation", "valueQuantity": quantity})
    assert [row[1:] for row in of(rows, "value-quantity")] == expected


def test_ranges_are_open_where_an_end_is_missing(extractor: Extractor) -> None:
    def onset(**ends: Any) -> list[Any]:
        return of(extractor.rows({"resourceType": "Condition", "onsetRange": ends}), "onset-age")

    year = {"system": UCUM, "code": "a"}
    both = onset(low={"value": 1, **year}, high={"value": 2, **year})
    assert [row[1:] for row in both] == [("", "a", 1.0, 2.0), (UCUM, "s", 31557600.0, 63115200.0)]
    assert [row[3:] for row in onset(low={"value": 1})] == [(1.0, GREATEST)]
    assert [row[3:] for row in onset(high={"value": 1})] == [(-GREATEST, 1.0)]
    incomparable = onset(low={"value": 1, "unit": "a"}, high={"value": 9, "unit": "mo"})
    assert incomparable == [TokenRow("onset-age", "", "")]


def test_what_stands_together_in_a_component_makes_a_group(extractor: Extractor) -> None:
    components: list[Any] = [
        {"code": coded({"code": "s"}), "valueQuantity": {"value": 140}},
        {"code": coded({"code": "d"}), "valueQuantity": {"value": 80}},
        {"code": coded({"code": "alone"})},
    ]
    rows = extractor.rows({"resourceType": "Observation", "component": components})
    grouped = [(group.rows.tokens[0].code, group.rows.quantities[0].low) for group in rows.groups]
    assert grouped == [("s", 140.0), ("d", 80.0)]
    assert [row.code for row in of(rows, "component-code")] == ["s", "d", "alone"]


def test_a_canonical_is_found_with_and_without_its_version(extractor: Extractor) -> None:
    profile = "http://example.org/profile|1.0"
    rows = extractor.rows({"resourceType": "Patient", "meta": {"profile": [profile]}})
    assert of(rows, "_profile") == [UriRow("_profile", profile), UriRow("_profile", "http://example.org/profile")]


def test_meta_is_searchable_but_not_what_the_storage_knows_itself(extractor: Extractor) -> None:
    meta: dict[str, Any] = {
        "tag": [{"code": "t"}],
        "security": [{"code": "R"}],
        "source": "http://s",
        "lastUpdated": "2024-01-01T00:00:00Z",
    }
    rows = extractor.rows({"resourceType": "Group", "id": "1", "meta": meta})
    assert {row.param for row in rows.tokens} == {"_tag", "_security"}
    assert {row.param for row in rows.uris} == {"_source"}
    assert rows.dates == ()


@pytest.mark.parametrize(
    ("effective", "row"),
    [
        ({"effectiveDateTime": "2024-02"}, interval("2024-02")),
        ({"effectiveInstant": "2024-02-01T00:00:00Z"}, interval("2024-02-01T00:00:00Z")),
        ({"effectivePeriod": {"start": "2024"}}, (interval("2024")[0], FOREVER)),
        ({"effectiveTiming": {"event": ["2024", "2022"]}}, (interval("2022")[0], interval("2024")[1])),
    ],
)
def test_the_clinical_date_is_the_sort_value_and_needs_no_order_row(
    effective: dict[str, Any], row: tuple[int, int], extractor: Extractor
) -> None:
    rows = extractor.rows({"resourceType": "Observation", **effective})
    assert of(rows, "date") == [DateRow("date", *row)]
    assert rows.sort == row[0]
    assert "date" not in {order.param for order in rows.orders}


def test_a_resource_without_its_clinical_date_sorts_last_and_a_type_without_one_by_its_commit(
    extractor: Extractor,
) -> None:
    assert extractor.rows({"resourceType": "Observation"}).sort == MISSING
    assert extractor.rows({"resourceType": "Patient", "birthDate": "2024"}).sort is None


def test_unreadable_dates_are_left_out(extractor: Extractor) -> None:
    rows = extractor.rows({"resourceType": "Patient", "birthDate": "2023-02-30"})
    assert of(rows, "birthdate") == []


def test_order_rows_span_the_values_and_are_cut_to_64_characters(extractor: Extractor) -> None:
    categories: list[Any] = [coded({"code": code}) for code in ("m", "z" * 100, "a", "m")]
    rows = extractor.rows({"resourceType": "Observation", "category": categories})
    assert [order for order in rows.orders if order.param == "category"] == [OrderRow("category", "a", "z" * 64)]
    assert len(of(rows, "category")) == 3, "equal rows are one"


def test_quantities_are_ordered_by_what_is_published_where_none_is_canonical(extractor: Extractor) -> None:
    components: list[Any] = [{"valueQuantity": {"value": value}} for value in (140, 80)]
    rows = extractor.rows({"resourceType": "Observation", "component": components})
    assert rows.orders == (OrderRow("component-value-quantity", 80.0, 140.0),)
    components.append({"valueQuantity": {"value": 7, "system": UCUM, "code": "g"}})
    rows = extractor.rows({"resourceType": "Observation", "component": components})
    assert rows.orders == (OrderRow("component-value-quantity", 7.0, 7.0),)


def test_a_resource_lies_in_the_compartments_of_the_patients_it_refers_to(extractor: Extractor) -> None:
    appointment: dict[str, Any] = {
        "resourceType": "Appointment",
        "participant": [{"actor": {"reference": r}} for r in ("Patient/2", "Location/1", "Patient/1", "Patient/2")],
    }
    assert extractor.rows(appointment).compartments == ("2", "1")
    assert extractor.rows({"resourceType": "Patient", "id": "7"}).compartments == ("7",)
    assert extractor.rows({"resourceType": "Organization", "id": "7"}).compartments == ()
    assert extractor.rows({"resourceType": "Observation", "focus": [{"reference": "Patient/1"}]}).compartments == ()


def test_the_key_parameter_of_a_type_occurs_at_most_once(extractor: Extractor) -> None:
    keys = {
        "AllergyIntolerance": "date",
        "Account": "period",
        "Appointment": "date",
        "Condition": "onset-date",
        "Coverage": None,
        "DiagnosticReport": "date",
        "DocumentReference": "date",
        "Encounter": "date",
        "Immunization": "date",
        "MedicationRequest": "authoredon",
        "MedicationStatement": "effective",
        "Observation": "date",
        "Patient": None,
        "Practitioner": None,
        "Procedure": "date",
        "ServiceRequest": "authored",
    }
    assert {resource_type: extractor.key(resource_type) for resource_type in keys} == keys


def test_the_fingerprint_is_of_the_rules_and_not_of_where_the_server_is(
    extractor: Extractor, definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Extractor(definitions, ["https://elsewhere.example/fhir"]).fingerprint == extractor.fingerprint
    monkeypatch.setattr("toro_core.search.extract._RULES", "other")
    assert Extractor(definitions, []).fingerprint != extractor.fingerprint
