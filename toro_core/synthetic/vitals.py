"""Vital signs, as each US Core vital-signs profile wants them, within ranges fit for the age and the problem."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import ILLNESSES, loinc
from toro_core.synthetic.elements import LOINC, TERMINOLOGY, Code, Json, coding, concept, quantity, ref

__all__ = ["measure"]

# Typical growth by age in years; a patient's frame scales it.
_AGES = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0)
_HEIGHTS = (50.0, 67.0, 75.0, 87.0, 102.0, 115.0, 128.0, 138.0, 149.0, 160.0, 167.0, 171.0)
_WEIGHTS = (3.4, 7.6, 9.6, 12.2, 16.0, 20.5, 25.5, 32.0, 41.0, 50.0, 59.0, 66.0)
_HEADS = (34.5, 43.0, 46.0, 48.5)
_FEVERISH = frozenset(ILLNESSES) - {"sprain"}


def measure(chart: Chart, visit: Visit, encounter: str) -> None:
    """Record the vital signs taken at a visit in person."""
    person, rng = chart.person, chart.rng
    age = person.age(visit.day)
    sick = visit.reason in _FEVERISH
    _record(chart, visit, encounter, "us-core-heart-rate", _PULSE, rng.randint(*_by_age(age, _PULSES)), "/min")
    _record(chart, visit, encounter, "us-core-respiratory-rate", _BREATHS, rng.randint(*_by_age(age, _RATES)), "/min")
    warmth = round(rng.uniform(37.8, 39.3) if sick else rng.uniform(36.3, 37.2), 1)
    _record(chart, visit, encounter, "us-core-body-temperature", _WARMTH, warmth, "Cel")
    _size(chart, visit, encounter, age)
    if age >= 3:
        _pressure(chart, visit, encounter)
    if visit.kind != "wellness" or age >= 40:
        _oxygen(chart, visit, encounter)


_PULSE = loinc("8867-4", "Heart rate")
_BREATHS = loinc("9279-1", "Respiratory rate")
_WARMTH = loinc("8310-5", "Body temperature")
_PULSES = ((1, (110, 150)), (6, (85, 125)), (13, (70, 110)), (200, (58, 96)))
_RATES = ((1, (28, 44)), (6, (22, 30)), (13, (18, 25)), (200, (12, 18)))


def _by_age(age: float, ranges: Sequence[tuple[int, tuple[int, int]]]) -> tuple[int, int]:
    return next(limits for oldest, limits in ranges if age < oldest)


def _grown(age: float, sizes: Sequence[float]) -> float:
    last = min(len(sizes), bisect_right(_AGES, age))
    if last == len(sizes):
        return sizes[-1]
    low, high = _AGES[last - 1], _AGES[last]
    return sizes[last - 1] + (sizes[last] - sizes[last - 1]) * (age - low) / (high - low)


def _size(chart: Chart, visit: Visit, encounter: str, age: float) -> None:
    person, rng = chart.person, chart.rng
    man = 1.03 if person.sex == "male" and age >= 14 else 1.0
    height = round(_grown(age, _HEIGHTS) * man * (0.9 + person.frame / 10), 1)
    stout = 1.0 + min(max(age - 20, 0), 40) / 160
    weight = round(_grown(age, _WEIGHTS) * stout * man * person.frame * rng.uniform(0.98, 1.02), 1)
    _record(chart, visit, encounter, "us-core-body-height", loinc("8302-2", "Body height"), height, "cm")
    _record(chart, visit, encounter, "us-core-body-weight", loinc("29463-7", "Body weight"), weight, "kg")
    centile = min(max(round((person.frame - 0.93) * 640, 1), 2.0), 98.0)
    if age >= 2:
        bmi = round(weight / (height / 100) ** 2, 1)
        _record(chart, visit, encounter, "us-core-bmi", loinc("39156-5", "Body mass index"), bmi, "kg/m2")
    if 2 <= age < 20:
        code = loinc("59576-9", "Body mass index percentile")
        _record(chart, visit, encounter, "pediatric-bmi-for-age", code, centile, "%")
    if age < 3:
        head = round(_grown(age, _HEADS) * (0.7 + 0.3 * person.frame), 1)
        _record(
            chart, visit, encounter, "us-core-head-circumference", loinc("9843-4", "Head circumference"), head, "cm"
        )
        code = loinc("8289-1", "Head circumference percentile")
        _record(chart, visit, encounter, "head-occipital-frontal-circumference-percentile", code, centile, "%")
        code = loinc("77606-2", "Weight for length percentile")
        _record(chart, visit, encounter, "pediatric-weight-for-height", code, centile, "%")


def _pressure(chart: Chart, visit: Visit, encounter: str) -> None:
    person, rng = chart.person, chart.rng
    high = "hypertension" in person.problems
    child = person.age(visit.day) < 13
    upper = rng.randint(128, 158) if high else rng.randint(90, 108) if child else rng.randint(104, 128)
    lower = rng.randint(78, 96) if high else rng.randint(50, 66) if child else rng.randint(62, 82)
    refused = "gaps" in person.traits and visit.kind == "wellness"
    body = _vital(chart, visit, encounter, concept(loinc("85354-9", "Blood pressure")))
    body["component"] = [
        _reading(loinc("8480-6", "Systolic"), None if refused else upper),
        _reading(loinc("8462-4", "Diastolic"), None if refused else lower),
    ]
    chart.add("Observation", "us-core-blood-pressure", body)


def _reading(code: Code, value: int | None) -> Json:
    if value is None:
        return {"code": concept(code), "dataAbsentReason": coding(TERMINOLOGY + "data-absent-reason", "unknown")}
    return {"code": concept(code), "valueQuantity": quantity(value, "mmHg", "mm[Hg]")}


def _oxygen(chart: Chart, visit: Visit, encounter: str) -> None:
    rng = chart.rng
    both = {
        "coding": [{"system": LOINC, "code": "59408-5"}, {"system": LOINC, "code": "2708-6"}],
        "text": "Oxygen saturation by pulse oximetry",
    }
    body = _vital(chart, visit, encounter, both)
    helped = "oxygen" in chart.person.traits and visit.kind == "inpatient"
    body["valueQuantity"] = quantity(rng.randint(88, 93) if helped else rng.randint(95, 100), "%", "%")
    if helped:
        flow, share = rng.choice(((2, 28), (3, 32), (4, 36)))
        body["component"] = [
            {"code": concept(loinc("3151-8", "Oxygen flow")), "valueQuantity": quantity(flow, "L/min", "L/min")},
            {"code": concept(loinc("3150-0", "Oxygen share")), "valueQuantity": quantity(share, "%", "%")},
        ]
    chart.add("Observation", "us-core-pulse-oximetry", body)


def _record(chart: Chart, visit: Visit, encounter: str, profile: str, code: Code, value: float, unit: str) -> None:
    body = _vital(chart, visit, encounter, concept(code))
    body["valueQuantity"] = quantity(value, unit, unit)
    chart.add("Observation", profile, body)


def _vital(chart: Chart, visit: Visit, encounter: str, code: Json) -> Json:
    return {
        "status": "final",
        "category": [coding(TERMINOLOGY + "observation-category", "vital-signs")],
        "code": code,
        "subject": chart.subject,
        "encounter": ref(encounter),
        "effectiveDateTime": chart.at(visit.start),
    }
