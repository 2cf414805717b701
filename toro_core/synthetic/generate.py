"""Put records together: what is shared first, then one patient after another, then the groups they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from random import Random

from toro_core.synthetic import documents, drugs, history, labs, problems, visits
from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.directory import shared
from toro_core.synthetic.elements import Json, identifier, local, ref
from toro_core.synthetic.findings import examine
from toro_core.synthetic.pdf import Signer
from toro_core.synthetic.people import person
from toro_core.synthetic.registration import register
from toro_core.synthetic.shots import immunize
from toro_core.synthetic.staff import SITES
from toro_core.synthetic.vitals import measure

__all__ = ["ANCHOR", "generate"]

ANCHOR = date(2025, 6, 30)
"""The day the records are looked at; they hold the three years before it and what is booked after it."""
_COHORT = 1000
"""Patients in one Group, so that no Group grows without bound."""


def generate(patients: int, seed: int = 1, *, anchor: date = ANCHOR) -> Iterator[Json]:
    """Give FHIR resources, one patient at a time.

    The same arguments give the same resources; a patient is the same whatever `patients` is. References are
    `Type/id` and point backwards or into the same patient's record. Decimals are floats: write them to JSON before
    handing them to what reads digit for digit.
    """
    yield from shared(anchor)
    signer = Signer(seed)
    members: list[str] = []
    for number in range(patients):
        chart = _record(number, seed, anchor, signer)
        yield from chart.resources
        members.append(chart.person.reference)
        if len(members) == _COHORT or number == patients - 1:
            yield _cohort(seed, number // _COHORT + 1, members)
            members = []


def _record(number: int, seed: int, anchor: date, signer: Signer) -> Chart:
    rng = Random(f"{seed}/{number}")  # noqa: S311 - repeatable on purpose
    who = person(number, seed, anchor, rng)
    chart = Chart(who, anchor, rng)
    planned = visits.plan(chart)
    register(chart)
    problems.problem_list(chart)
    problems.allergies(chart)
    problems.care(chart)
    drugs.long_term(chart)
    if who.age(who.until) >= 18:
        drugs.over_the_counter(chart)
    immunize(chart)
    chart.sign(datetime.combine(who.until, time(7)), who.doctor)
    encounter = ""
    for visit in planned:
        encounter = _see(chart, visit, signer, first=visit is planned[0])
    documents.compose(chart, encounter, planned[-1].end)
    visits.book(chart)
    chart.sign(datetime.combine(who.until, time(7)), who.doctor)
    return chart


def _see(chart: Chart, visit: Visit, signer: Signer, *, first: bool) -> str:
    """Record one visit from the door to the signature."""
    encounter = visits.record(chart, visit)
    door = chart.resources[-1]
    diagnosis = problems.diagnose(chart, visit, encounter)
    if diagnosis:
        chart.known["diagnosis"] = diagnosis
    if reason := diagnosis or next((chart.known[f"problem:{name}"] for name in chart.person.problems), None):
        door["reasonReference"] = [ref(reason)]
    if visit.kind != "virtual":
        measure(chart, visit, encounter)
    if visit.kind == "wellness":
        history.ask(chart, visit, encounter)
        labs.draw(chart, visit, encounter)
        if (chart.person.age(visit.day) >= 18 and chart.rng.random() < 0.5) or "diabetes" in chart.person.problems:
            labs.urinalysis(chart, visit, encounter)
    examine(chart, visit, encounter)
    drugs.treat(chart, visit, encounter)
    documents.write_note(chart, visit, encounter)
    if first:
        documents.consent(chart, visit, encounter, signer)
    if visit.kind == "inpatient":
        documents.discharge(chart, visit, encounter, signer)
    chart.sign(visit.end, visits.attending(chart, visit))
    return encounter


def _cohort(seed: int, number: int, members: list[str]) -> Json:
    return {
        "resourceType": "Group",
        "id": f"synthetic-{seed}-cohort-{number}",
        "identifier": [identifier(local("group"), f"{seed}-{number}")],
        "active": True,
        "type": "person",
        "actual": True,
        "name": f"Synthetic cohort {number}",
        "managingEntity": ref(SITES[0].organization),
        "quantity": len(members),
        "member": [{"entity": ref(member)} for member in members],
    }
