"""Datatypes as plain JSON objects, and the profiles the records claim."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple

__all__ = [
    "LOINC",
    "NPI",
    "SNOMED",
    "TERMINOLOGY",
    "US_CORE",
    "Code",
    "Json",
    "coding",
    "concept",
    "identifier",
    "local",
    "npi",
    "period",
    "phone",
    "quantity",
    "ref",
    "stamp",
]

Json = dict[str, Any]

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
NPI = "http://hl7.org/fhir/sid/us-npi"


class Code(NamedTuple):
    """A code and our own short text for it; official displays are not ours to ship."""

    system: str
    code: str
    text: str


def concept(*codes: Code) -> Json:
    """Give a CodeableConcept of these codings, with the first one's text."""
    return {"coding": [{"system": code.system, "code": code.code} for code in codes], "text": codes[0].text}


def coding(system: str, code: str) -> Json:
    """Give a CodeableConcept of a single coding without text, for categories and statuses."""
    return {"coding": [{"system": system, "code": code}]}


def ref(reference: str) -> Json:
    """Give a Reference to `Type/id`."""
    return {"reference": reference}


def quantity(value: float, unit: str, code: str) -> Json:
    """Give a UCUM Quantity."""
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": code}


def stamp(when: datetime, offset: str) -> str:
    """Write a wall-clock time with its zone offset."""
    return when.isoformat() + offset


def period(start: datetime | date, end: datetime | date | None, offset: str = "") -> Json:
    """Give a Period; without an end it is open."""
    value = {"start": start.isoformat() + offset}
    if end is not None:
        value["end"] = end.isoformat() + offset
    return value


def local(name: str) -> str:
    """Name one of the sandbox's own identifier systems."""
    return f"https://sandbox.example.org/{name}"


def identifier(system: str, value: str, kind: str | None = None) -> Json:
    """Give an Identifier; `kind` is a code of HL7 table 0203."""
    found: Json = {"system": system, "value": value}
    return {"type": coding(TERMINOLOGY + "v2-0203", kind), **found} if kind else found


def npi(number: int) -> Json:
    """Give a National Provider Identifier made up from nine digits and their Luhn check digit."""
    digits = f"{number:09d}"
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[::2])
    total = 24 + sum(doubled) + sum(int(digit) for digit in digits[1::2])
    return {"system": NPI, "value": f"{digits}{-total % 10}"}


def phone(area: int, line: int, use: str) -> Json:
    """Give a telephone number of the range kept for fiction."""
    return {"system": "phone", "value": f"({area}) 555-{100 + line % 100:04d}", "use": use}
