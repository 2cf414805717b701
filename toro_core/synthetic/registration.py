"""What the front desk records: the patient, who stands by them, their cover and their account."""

from __future__ import annotations

from datetime import timedelta

from toro_core.synthetic.chart import Chart
from toro_core.synthetic.elements import (
    SNOMED,
    TERMINOLOGY,
    US_CORE,
    Json,
    coding,
    concept,
    identifier,
    local,
    phone,
    ref,
)
from toro_core.synthetic.names import FAMILY, FEMALE, MALE, STREETS, SUFFIXES

__all__ = ["BALANCE", "register"]

BALANCE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Account.balance"
"""FHIR R5's Account.balance, carried in R4 by the standard's own rule for elements of other versions."""

_CDC_RACE = "urn:oid:2.16.840.1.113883.6.238"
_RACES = (
    ("2106-3", "White"),
    ("2054-5", "Black or African American"),
    ("2028-9", "Asian"),
    ("2106-3", "White"),
    ("2076-8", "Native Hawaiian or Other Pacific Islander"),
)
_ETHNICITIES = (("2186-5", "Not Hispanic or Latino"), ("2135-2", "Hispanic or Latino"))
_SEX = {"female": ("F", "248152002", "446141000124107"), "male": ("M", "248153007", "446151000124109")}


def register(chart: Chart) -> None:
    """Record the patient, a related person, their coverage and their account."""
    person, rng = chart.person, chart.rng
    street = f"{rng.randint(1, 980)} {rng.choice(STREETS)}"
    chart.add("Patient", "us-core-patient", _patient(chart, street))
    adult = person.age(person.until) >= 18
    chart.known["relative"] = chart.add("RelatedPerson", "us-core-relatedperson", _relative(chart, street, adult))
    chart.known["coverage"] = chart.add("Coverage", "us-core-coverage", _coverage(chart, adult))
    chart.add("Account", None, _account(chart, adult))


def _patient(chart: Chart, street: str) -> Json:
    person, rng = chart.person, chart.rng
    name: Json = {"use": "official", "family": person.family, "given": [person.given, rng.choice(FAMILY)[0] + "."]}
    names = [name]
    moved = (person.born + (person.until - person.born) / 2).isoformat()
    if "suffix" in person.traits:
        name["suffix"] = [rng.choice(SUFFIXES)]
    if "renamed" in person.traits:
        old: Json = {"use": "old", "family": rng.choice(FAMILY), "given": [person.given], "period": {"end": moved}}
        name["period"] = {"start": moved}
        names.append(old)
    addresses = [_address(chart, street)]
    if "moved" in person.traits:
        past = f"{rng.randint(1, 980)} {rng.choice(STREETS)}"
        addresses.append(_address(chart, past) | {"use": "old", "period": {"end": moved}})
    mobile = rng.randint(0, 99)
    body: Json = {
        "extension": _extensions(chart),
        "identifier": [
            identifier(local("mrn"), f"{person.number + 1:07d}", "MR") | {"use": "usual"},
            identifier(local("member"), _member(chart), "MB"),
        ],
        "active": person.died is None,
        "name": names,
        "telecom": [phone(person.city.area, mobile, "mobile")],
        "gender": person.sex,
        "birthDate": person.born.isoformat(),
        "address": addresses,
        "communication": [
            {"language": coding("urn:ietf:bcp:47", rng.choice(("en", "en", "en", "es"))), "preferred": True}
        ],
        "generalPractitioner": [ref(person.doctor.practitioner)],
        "managingOrganization": ref(person.site.organization),
    }
    if "gaps" in person.traits:  # the desk asked, and the patient would not say
        body["telecom"] = [{"_value": _absent("asked-declined"), "system": "phone", "use": "home"}]
    else:
        body["telecom"].append({"system": "email", "value": f"patient{person.number + 1}@example.com", "use": "home"})
    if person.died:
        body["deceasedDateTime"] = person.died.isoformat()
    return body


def _absent(reason: str) -> Json:
    url = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    return {"extension": [{"url": url, "valueCode": reason}]}


def _extensions(chart: Chart) -> list[Json]:
    person, rng = chart.person, chart.rng
    tribal = "tribal" in person.traits
    race = ("1002-5", "American Indian or Alaska Native") if tribal else rng.choice(_RACES)
    birth_sex, sex, identity = _SEX[person.sex]
    found = [
        _category("us-core-race", race),
        _category("us-core-ethnicity", rng.choice(_ETHNICITIES)),
        {"url": US_CORE + "us-core-birthsex", "valueCode": birth_sex},
        {"url": US_CORE + "us-core-sex", "valueCode": sex},
        {"url": US_CORE + "us-core-genderIdentity", "valueCodeableConcept": coding(SNOMED, identity)},
    ]
    if tribal:
        tribe = coding(TERMINOLOGY + "v3-TribalEntityUS", "187")
        parts = [
            {"url": "tribalAffiliation", "valueCodeableConcept": tribe},
            {"url": "isEnrolled", "valueBoolean": True},
        ]
        found.append({"extension": parts, "url": US_CORE + "us-core-tribal-affiliation"})
    return found


def _category(name: str, choice: tuple[str, str]) -> Json:
    code, text = choice
    value = {"system": _CDC_RACE, "code": code, "display": text}
    return {
        "extension": [{"url": "ombCategory", "valueCoding": value}, {"url": "text", "valueString": text}],
        "url": US_CORE + name,
    }


def _address(chart: Chart, street: str) -> Json:
    city = chart.person.city
    return {
        "use": "home",
        "line": [street],
        "city": city.name,
        "state": city.state,
        "postalCode": city.postal_code,
        "country": "US",
    }


def _member(chart: Chart) -> str:
    return f"M{100_000_000 + chart.person.number * 7:09d}"


def _relative(chart: Chart, street: str, adult: bool) -> Json:
    person, rng = chart.person, chart.rng
    woman = rng.random() < 0.5
    kind = "SPS" if adult else "MTH" if woman else "FTH"
    return {
        "active": True,
        "patient": chart.subject,
        "relationship": [coding(TERMINOLOGY + "v3-RoleCode", kind)],
        "name": [{"family": person.family, "given": [rng.choice(FEMALE if woman else MALE)]}],
        "telecom": [phone(person.city.area, rng.randint(0, 99), "mobile")],
        "address": [_address(chart, street)],
    }


def _coverage(chart: Chart, adult: bool) -> Json:
    person, rng = chart.person, chart.rng
    classes = TERMINOLOGY + "coverage-class"
    tier = rng.choice(("Bronze", "Silver", "Gold"))
    start = max(person.born, chart.anchor - timedelta(days=365 * 4))
    body: Json = {
        "identifier": [identifier(local("member"), _member(chart), "MB")],
        "status": "active" if person.died is None else "cancelled",
        "type": concept(person.payer.kind),
        "subscriberId": f"S{100_000_000 + person.number * 7:09d}",
        "beneficiary": chart.subject,
        "relationship": coding(TERMINOLOGY + "subscriber-relationship", "self" if adult else "child"),
        "period": {"start": start.isoformat()},
        "payor": [ref(person.payer.organization)],
        "class": [
            {"type": coding(classes, "group"), "value": f"G-{1000 + person.number % 40}", "name": "Employee group"},
            {"type": coding(classes, "plan"), "value": tier.lower(), "name": f"{person.payer.name} {tier}"},
        ],
    }
    if person.died:
        body["period"]["end"] = person.died.isoformat()
    return body


def _account(chart: Chart, adult: bool) -> Json:
    person, rng = chart.person, chart.rng
    amount = round(rng.choice((0, 0, 1)) * rng.uniform(5, 1800), 2)
    money = {"value": amount, "currency": "USD"}
    balance = [{"url": "amount", "valueMoney": money}, {"url": "estimate", "valueBoolean": False}]
    opened = max(person.born, chart.anchor - timedelta(days=365 * 4))
    return {
        "extension": [{"extension": balance, "url": BALANCE}],
        "identifier": [identifier(local("account"), f"A{person.number + 1:08d}")],
        "status": "active" if person.died is None else "inactive",
        "type": coding(TERMINOLOGY + "v3-ActCode", "PBILLACCT"),
        "name": f"Account of {person.given} {person.family}",
        "subject": [chart.subject],
        "servicePeriod": {"start": opened.isoformat()} | ({"end": person.died.isoformat()} if person.died else {}),
        "coverage": [{"coverage": ref(chart.known["coverage"]), "priority": 1}],
        "owner": ref(person.site.organization),
        "guarantor": [{"party": chart.subject if adult else ref(chart.known["relative"])}],
    }
