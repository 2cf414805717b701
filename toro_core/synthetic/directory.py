"""What all patients share: organizations, places, clinicians, their calendars, and the drugs on the formulary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from toro_core.synthetic.codes import DRUGS
from toro_core.synthetic.elements import (
    SNOMED,
    TERMINOLOGY,
    US_CORE,
    Json,
    coding,
    concept,
    identifier,
    npi,
    phone,
    ref,
    stamp,
)
from toro_core.synthetic.staff import CLINICIANS, PAYERS, SITES, Clinician, Payer, Site

__all__ = ["medication_id", "shared", "workday"]


def medication_id(drug: str) -> str:
    """Give the id of the Medication resource of a drug of the formulary."""
    return f"synthetic-{drug}"


def workday(after: date, count: int) -> date:
    """Give the count-th working day after a date, counted from nought."""
    first = after + timedelta(days=1)
    monday = first + timedelta(days=-first.weekday() % 7)
    return monday + timedelta(days=7 * (count // 5) + count % 5)


def shared(anchor: date) -> Iterator[Json]:
    """Give the resources that patients refer to, before any patient."""
    for number, site in enumerate(SITES):
        yield from _site(site, 100_000_010 + number)
    for payer in PAYERS:
        yield _payer(payer)
    for clinician in CLINICIANS:
        yield from _clinician(clinician)
        yield from _calendar(clinician, anchor)
    for name, drug in DRUGS.items():
        yield _resource("Medication", medication_id(name), "us-core-medication") | {
            "code": concept(drug.code),
            "status": "active",
        }


def _resource(kind: str, name: str, profile: str | None = None) -> Json:
    found: Json = {"resourceType": kind, "id": name}
    return found | {"meta": {"profile": [US_CORE + profile]}} if profile else found


def _address(site: Site) -> Json:
    return {
        "use": "work",
        "line": [site.line],
        "city": site.city,
        "state": site.state,
        "postalCode": site.postal_code,
        "country": "US",
    }


def _id(reference: str) -> str:
    return reference.partition("/")[2]


def _site(site: Site, number: int) -> Iterator[Json]:
    yield _resource("Organization", _id(site.organization), "us-core-organization") | {
        "identifier": [npi(number), identifier("urn:oid:2.16.840.1.113883.4.7", site.clia)],
        "active": True,
        "type": [coding(TERMINOLOGY + "organization-type", "prov")],
        "name": site.name,
        "telecom": [phone(site.area, 1, "work")],
        "address": [_address(site)],
    }
    for reference, name, kind, line in (
        (site.clinic, f"{site.name}, outpatient clinic", "OF", 2),
        (site.ward, f"{site.name}, ward 3", "HOSP", 3),
    ):
        yield _resource("Location", _id(reference), "us-core-location") | {
            "status": "active",
            "name": name,
            "mode": "instance",
            "type": [coding(TERMINOLOGY + "v3-RoleCode", kind)],
            "telecom": [phone(site.area, line, "work")],
            "address": _address(site),
            "managingOrganization": ref(site.organization),
        }


def _payer(payer: Payer) -> Json:
    return _resource("Organization", _id(payer.organization), "us-core-organization") | {
        "identifier": [identifier("urn:oid:2.16.840.1.113883.6.300", payer.naic)],
        "active": True,
        "type": [coding(TERMINOLOGY + "organization-type", "pay")],
        "name": payer.name,
        "telecom": [phone(800, int(payer.naic), "work")],
        "address": [_address(SITES[0]) | {"line": ["1 Foundry Street"]}],
    }


def _clinician(who: Clinician) -> Iterator[Json]:
    site = who.site
    yield _resource("Practitioner", _id(who.practitioner), "us-core-practitioner") | {
        "identifier": [npi(100_000_100 + who.number)],
        "active": True,
        "name": [{"use": "official", "family": who.family, "given": [who.given], "prefix": ["Dr."]}],
        "telecom": [phone(site.area, 10 + who.number, "work")],
        "address": [_address(site)],
        "qualification": [{"code": coding(TERMINOLOGY + "v2-0360", "MD")}],
    }
    role = _resource("PractitionerRole", _id(who.practitioner_role), "us-core-practitionerrole")
    if who.number < len(SITES):  # an Endpoint is not served by itself, so the few there are travel inside
        role["contained"] = [_endpoint(site)]
        role["endpoint"] = [ref("#inbox")]
    yield role | {
        "active": True,
        "practitioner": ref(who.practitioner),
        "organization": ref(site.organization),
        "code": [concept(who.role)],
        "specialty": [concept(who.specialty)],
        "location": [ref(site.clinic)],
        "telecom": [phone(site.area, 10 + who.number, "work")],
    }


def _endpoint(site: Site) -> Json:
    return {
        "resourceType": "Endpoint",
        "id": "inbox",
        "status": "active",
        "connectionType": {"system": TERMINOLOGY + "endpoint-connection-type", "code": "direct-project"},
        "payloadType": [coding(TERMINOLOGY + "endpoint-payload-type", "any")],
        "address": f"mailto:inbox@direct.{site.key}.example.org",
    }


def _calendar(who: Clinician, anchor: date) -> Iterator[Json]:
    offset = who.site.offset
    horizon = {"start": workday(anchor, 0).isoformat(), "end": (anchor + timedelta(days=365)).isoformat()}
    yield _resource("Schedule", _id(who.schedule)) | {
        "active": True,
        "serviceType": [{"coding": [{"system": SNOMED, "code": "11429006"}], "text": "Consultation"}],
        "specialty": [concept(who.specialty)],
        "actor": [ref(who.practitioner), ref(who.site.clinic)],
        "planningHorizon": horizon,
    }
    for index in range(6):  # afternoons are free; mornings fill with the patients' bookings
        start = datetime.combine(workday(anchor, index // 2), time(13 + index % 2 * 2))
        yield _resource("Slot", f"{_id(who.schedule)}-free-{index}") | {
            "schedule": ref(who.schedule),
            "status": "free",
            "start": stamp(start, offset),
            "end": stamp(start + timedelta(minutes=30), offset),
        }
