"""One patient's chart while it is written: who they are, when they were seen, and the resources so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from random import Random

from toro_core.synthetic.elements import US_CORE, Json, ref, stamp
from toro_core.synthetic.names import City
from toro_core.synthetic.staff import Clinician, Payer, Site

__all__ = ["Chart", "Person", "Visit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Facts about a patient that all parts of the record agree on."""

    number: int
    id: str
    sex: str
    given: str
    family: str
    city: City
    born: date
    died: date | None
    until: date
    problems: tuple[str, ...]
    traits: frozenset[str]
    frame: float
    """Build against the average of the age, about 0.92 to 1.1."""
    doctor: Clinician
    payer: Payer

    @property
    def site(self) -> Site:
        """Say where they are usually seen."""
        return self.doctor.site

    def age(self, when: date) -> float:
        """Give the age in years on a day."""
        return (when - self.born).days / 365.25

    @property
    def reference(self) -> str:
        """Refer to the patient."""
        return f"Patient/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An encounter to be recorded."""

    kind: str
    start: datetime
    end: datetime
    reason: str | None = None

    @property
    def day(self) -> date:
        """Give the day it began."""
        return self.start.date()


class Chart:
    """Collects a patient's resources, gives them stable ids and remembers what still lacks its Provenance."""

    def __init__(self, person: Person, anchor: date, rng: Random) -> None:
        self.person = person
        self.anchor = anchor
        self.rng = rng
        self.resources: list[Json] = []
        self.unsigned: list[str] = []
        self.known: dict[str, str] = {}
        """References that later parts need, by a name such as `problem:asthma`."""

    def add(self, kind: str, profile: str | None, body: Json) -> str:
        """Add a resource and refer to it."""
        number = len(self.resources)
        name = f"{self.person.id}-{number:03d}" if kind != "Patient" else self.person.id
        resource: Json = {"resourceType": kind, "id": name}
        if profile:
            resource["meta"] = {"profile": [US_CORE + profile]}
        resource.update(body)
        self.resources.append(resource)
        reference = f"{kind}/{name}"
        self.unsigned.append(reference)
        return reference

    @property
    def subject(self) -> Json:
        """Refer to the patient, anew each time."""
        return ref(self.person.reference)

    def at(self, when: datetime) -> str:
        """Write a time at the patient's usual site."""
        return stamp(when, self.person.site.offset)

    def between(self, start: datetime, end: datetime | None) -> Json:
        """Give a Period at the patient's usual site."""
        return {"start": self.at(start)} | ({"end": self.at(end)} if end else {})

    def sign(self, when: datetime, author: Clinician) -> None:
        """Write the Provenance of everything added since the last one."""
        targets = [ref(reference) for reference in self.unsigned]
        organization = author.site.organization
        self.add("Provenance", "us-core-provenance", _provenance(targets, self.at(when), author, organization))
        self.unsigned.clear()


def _provenance(targets: list[Json], recorded: str, author: Clinician, organization: str) -> Json:
    kinds = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    us_kinds = "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type"
    return {
        "target": targets,
        "recorded": recorded,
        "agent": [
            {
                "type": {"coding": [{"system": kinds, "code": "author"}]},
                "who": ref(author.practitioner),
                "onBehalfOf": ref(organization),
            },
            {"type": {"coding": [{"system": us_kinds, "code": "transmitter"}]}, "who": ref(organization)},
        ],
    }
