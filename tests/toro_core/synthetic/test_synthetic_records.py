"""What holds of synthetic records without any outside material."""

import re
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import pkcs7

from toro_core import json
from toro_core.definitions import load
from toro_core.synthetic import BALANCE, bench_resources, generate
from toro_core.validation.structure import check

Json = dict[str, Any]

PUBLISHED = {
    "Patient",
    "Practitioner",
    "Encounter",
    "Observation",
    "Condition",
    "MedicationRequest",
    "MedicationStatement",
    "AllergyIntolerance",
    "Immunization",
    "DocumentReference",
    "Account",
    "Coverage",
    "Appointment",
    "ServiceRequest",
    "DiagnosticReport",
}
SUPPORTING = {
    "Organization",
    "Location",
    "Medication",
    "PractitionerRole",
    "Provenance",
    "Procedure",
    "Composition",
    "Group",
    "Binary",
    "Device",
    "CarePlan",
    "CareTeam",
    "Goal",
    "RelatedPerson",
    "Schedule",
    "Slot",
    "Specimen",
}


@pytest.fixture(scope="module")
def records() -> list[Json]:
    return list(generate(20))


def name(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def values(node: Any, key: str) -> Iterator[Any]:
    """Yield every value of a member of this name, at any depth."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for child in node.values():
            yield from values(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from values(child, key)


def digest(resources: Iterator[Json]) -> str:
    return sha256(b"\n".join(json.dumps(resource) for resource in resources)).hexdigest()


def parsed(resource: Json) -> json.JsonObject:
    """Write and read a resource, as whoever stores it does."""
    return json.loads(json.dumps(resource))


def owner(resource: Json) -> str | None:
    """Say whose record a resource is part of, by its id."""
    found = re.match(r"synthetic-\d+-\d{4}", resource["id"])
    return found[0] if found else None


def test_all_published_and_supporting_types_occur(records: list[Json]) -> None:
    assert {resource["resourceType"] for resource in records} == PUBLISHED | SUPPORTING


def test_every_resource_is_structurally_sound(records: list[Json]) -> None:
    definitions = load()
    problems = {name(resource): check(parsed(resource), definitions) for resource in records}
    assert {key: found for key, found in problems.items() if found} == {}


def test_names_are_unique(records: list[Json]) -> None:
    assert [key for key, count in Counter(map(name, records)).items() if count > 1] == []


def test_every_reference_resolves_within_the_records(records: list[Json]) -> None:
    known = set(map(name, records))
    for resource in records:
        inside = {"#" + contained["id"] for contained in resource.get("contained", [])}
        links = [*values(resource, "reference"), *(url for url in values(resource, "url") if url.startswith("Binary/"))]
        assert set(links) <= known | inside, name(resource)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert digest(generate(5)) == digest(generate(5))
    assert digest(generate(5)) != digest(generate(5, seed=2))


def test_a_patient_is_the_same_however_many_are_asked_for() -> None:
    few, many = list(generate(3)), list(generate(6))
    assert many[: len(few) - 1] == few[:-1]  # all but the Group, which lists the patients there are
    assert few[-1]["member"] == many[-1]["member"][:3]


def test_no_patients_still_means_a_directory() -> None:
    assert {resource["resourceType"] for resource in generate(0)} >= {"Organization", "Practitioner", "Medication"}


def test_records_are_given_one_patient_at_a_time() -> None:
    started = time.perf_counter()
    owners = {owner(resource) for resource in islice(generate(10**9), 300)}
    assert owners == {None, "synthetic-1-0001"}
    assert time.perf_counter() - started < 5


def test_a_hundred_patients_take_less_than_three_seconds() -> None:
    started = time.process_time()
    count = sum(1 for _ in generate(100))
    assert time.process_time() - started < 3
    assert 100 <= count / 100 <= 250


def test_most_patients_were_seen_in_2024(records: list[Json]) -> None:
    seen = {owner(r) for r in records if r["resourceType"] == "Encounter" and r["period"]["start"][:4] == "2024"}
    assert len(seen) >= 18


def test_an_anchor_moves_the_whole_record() -> None:
    encounters = [r for r in generate(4, anchor=date(2030, 1, 31)) if r["resourceType"] == "Encounter"]
    assert {r["period"]["start"][:4] for r in encounters} <= {"2026", "2027", "2028", "2029", "2030"}
    assert max(r["period"]["end"] for r in encounters)[:10] <= "2030-01-31"


def test_encounters_come_in_time_order_and_within_a_life(records: list[Json]) -> None:
    patients = {r["id"]: r for r in records if r["resourceType"] == "Patient"}
    for key, patient in patients.items():
        starts = [r["period"]["start"] for r in records if owner(r) == key and r["resourceType"] == "Encounter"]
        assert starts
        assert starts == sorted(starts)
        assert starts[0][:10] >= patient["birthDate"]
        assert starts[-1][:10] <= patient.get("deceasedDateTime", "2025-06-30")


def test_no_slot_is_booked_twice(records: list[Json]) -> None:
    slots = [r for r in records if r["resourceType"] == "Slot"]
    taken = Counter((r["schedule"]["reference"], r["start"]) for r in slots)
    assert max(taken.values()) == 1
    booked = [r["slot"][0]["reference"] for r in records if r.get("status") == "booked"]
    assert booked
    assert sorted(booked) == sorted(name(r) for r in slots if r["status"] == "busy")


def test_observations_have_a_value_a_part_or_a_reason_and_whole_dates(records: list[Json]) -> None:
    for observation in (r for r in records if r["resourceType"] == "Observation"):
        has_value = any(key.startswith("value") for key in observation)
        assert has_value or observation.get("component") or observation.get("hasMember"), name(observation)
        for part in observation.get("component", []):
            assert any(key.startswith("value") for key in part) != ("dataAbsentReason" in part)
        if "effectiveDateTime" in observation:
            assert len(observation["effectiveDateTime"]) >= 10


def test_vital_signs_lie_within_what_a_living_body_shows(records: list[Json]) -> None:
    limits = {
        "8867-4": (40, 170),
        "9279-1": (8, 50),
        "8310-5": (35, 41),
        "8302-2": (45, 205),
        "29463-7": (2.5, 160),
        "39156-5": (12, 45),
        "9843-4": (30, 56),
        "59408-5": (80, 100),
        "59576-9": (0, 100),
        "8289-1": (0, 100),
        "77606-2": (0, 100),
    }
    found = Counter[str]()
    for observation in (r for r in records if r["resourceType"] == "Observation" and "valueQuantity" in r):
        code = observation["code"].get("coding", [{"code": ""}])[0]["code"]
        if code in limits:
            low, high = limits[code]
            assert low <= observation["valueQuantity"]["value"] <= high, name(observation)
            found[code] += 1
    assert set(found) == set(limits)


def test_provider_identifiers_pass_the_luhn_check(records: list[Json]) -> None:
    npis = [
        identifier["value"]
        for resource in records
        for listed in values(resource, "identifier")
        if isinstance(listed, list)
        for identifier in listed
        if identifier["system"] == "http://hl7.org/fhir/sid/us-npi"
    ]
    assert len(npis) == len(set(npis)) == 14
    for npi in npis:
        digits = [int(digit) for digit in "80840" + npi][::-1]
        assert (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def test_an_account_carries_its_balance(records: list[Json]) -> None:
    accounts = [r for r in records if r["resourceType"] == "Account"]
    for account in accounts:
        (balance,) = (extension for extension in account["extension"] if extension["url"] == BALANCE)
        (amount,) = (part["valueMoney"] for part in balance["extension"] if part["url"] == "amount")
        assert amount["currency"] == "USD"
        assert amount["value"] >= 0
    assert any(next(values(account, "valueMoney"))["value"] > 0 for account in accounts)


def test_missing_data_is_said_by_extension_and_by_code(records: list[Json]) -> None:
    url = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    assert any(extension["url"] == url for r in records for listed in values(r, "extension") for extension in listed)
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    codings = [coding for r in records for reason in values(r, "dataAbsentReason") for coding in reason["coding"]]
    assert {"system": system, "code": "unknown"} in codings


def test_provenance_covers_every_clinical_resource(records: list[Json]) -> None:
    covered = {target["reference"] for r in records if r["resourceType"] == "Provenance" for target in r["target"]}
    own = {name(r) for r in records if owner(r) and r["resourceType"] not in {"Provenance", "Group"}}
    assert own - covered == set()


def test_a_reports_form_is_also_a_document(records: list[Json]) -> None:
    forms = {
        url for r in records if r["resourceType"] == "DiagnosticReport" for url in values(r.get("presentedForm"), "url")
    }
    documents = {
        url for r in records if r["resourceType"] == "DocumentReference" for url in values(r["content"], "url")
    }
    assert forms
    assert forms <= documents


def test_the_common_clinical_notes_occur(records: list[Json]) -> None:
    types = {r["type"]["coding"][0]["code"] for r in records if r["resourceType"] == "DocumentReference"}
    wanted = {"11488-4", "18842-5", "34117-2", "28570-0", "11506-3", "18748-4", "11502-2", "11526-1"}
    assert types >= wanted


def pdfs(records: list[Json]) -> list[bytes]:
    inline = [a for r in records if r["resourceType"] == "DocumentReference" for a in values(r, "attachment")]
    binaries = [r for r in records if r["resourceType"] == "Binary"]
    return [b64decode(a["data"]) for a in inline + binaries if a["contentType"] == "application/pdf" and "data" in a]


def test_pdfs_are_whole_and_their_offsets_true(records: list[Json]) -> None:
    assert len(pdfs(records)) >= 20
    for pdf in pdfs(records):
        assert pdf.startswith(b"%PDF-1.7\n")
        table = int(pdf.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
        lines = pdf[table:].split(b"\n")
        assert lines[0] == b"xref"
        for number in range(1, int(lines[1].split()[1])):
            assert pdf[int(lines[2 + number][:10]) :].startswith(b"%d 0 obj" % number)


def signed_parts(pdf: bytes) -> tuple[bytes, bytes]:
    """Give what a PDF's signature covers, and the PKCS#7 structure."""
    first, start, end, rest = (int(n) for n in re.findall(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\]", pdf)[0])
    assert (first, end + rest) == (0, len(pdf))
    signature = bytes.fromhex(pdf[start + 1 : end - 1].decode())
    return pdf[:start] + pdf[end:], signature[: 4 + int.from_bytes(signature[2:4], "big")]


def test_a_pdf_signature_covers_all_but_itself(records: list[Json]) -> None:
    for pdf in pdfs(records):
        covered, signature = signed_parts(pdf)
        (certificate,) = pkcs7.load_der_pkcs7_certificates(signature)
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        # without attributes the last 256 bytes are the RSA signature over the content itself
        key.verify(signature[-256:], covered, padding.PKCS1v15(), SHA256())


def test_bench_resources_are_as_many_as_asked_and_sound() -> None:
    definitions = load()
    resources = list(bench_resources(2000))
    assert len(resources) == 2000
    assert [found for resource in resources if (found := check(parsed(resource), definitions))] == []
    assert digest(iter(resources)) == digest(bench_resources(2000))


def test_bench_resources_are_skewed_and_many_valued() -> None:
    resources = list(bench_resources(20_000))
    observations = [r for r in resources if r["resourceType"] == "Observation"]
    per_patient = Counter(r["subject"]["reference"] for r in observations)
    assert per_patient.most_common(1)[0][1] > 20 * len(observations) / len(per_patient)
    assert any(len(r["code"]["coding"]) > 1 for r in observations)
    assert any("effectivePeriod" in r for r in observations)
    assert any("effectiveDateTime" not in r and "effectivePeriod" not in r for r in observations)
    patients = [r for r in resources if r["resourceType"] == "Patient"]
    assert {len(r["identifier"]) for r in patients} == {1, 2, 3}
    assert {len(r["name"]) for r in patients} == {1, 2}


def test_the_sandbox_page_names_the_balance_and_the_types_of_a_record(records: list[Json]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
    (listed,) = re.findall(r"resources of these types: ([^.]*)\.", page)
    assert BALANCE in page
    own = {r["resourceType"] for r in records if owner(r)}
    assert set(re.split(r",\s+", listed)) == own - {"Group"}
