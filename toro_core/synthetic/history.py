"""Social history, screening and what else is observed of a person rather than measured on them."""

from __future__ import annotations

from datetime import timedelta

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import loinc, snomed
from toro_core.synthetic.elements import TERMINOLOGY, Json, coding, concept, quantity, ref

__all__ = ["ask"]

_CATEGORY = TERMINOLOGY + "observation-category"
_US_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
_WORK = TERMINOLOGY + "PHOccupationalDataForHealthODH"
_SCREENING = "us-core-observation-screening-assessment"
_SIMPLE = "us-core-simple-observation"
_SMOKING = (
    snomed("266919005", "Never smoked"),
    snomed("8517006", "Used to smoke"),
    snomed("449868002", "Smokes every day"),
)
_ORIENTATION = (snomed("20430005", "Heterosexual"), snomed("38628009", "Homosexual"), snomed("42035005", "Bisexual"))


def ask(chart: Chart, visit: Visit, encounter: str) -> None:
    """Record what the patient was asked at a checkup."""
    person, rng = chart.person, chart.rng
    age = person.age(visit.day)
    if age < 13:
        return
    smoking = rng.choice(_SMOKING if age >= 18 else _SMOKING[:1])
    body = _asked(chart, visit, encounter, concept(loinc("72166-2", "Tobacco smoking status")), "social-history")
    chart.add("Observation", "us-core-smokingstatus", body | {"valueCodeableConcept": concept(smoking)})
    _hunger(chart, visit, encounter)
    _mood(chart, visit, encounter)
    if age >= 18:
        _identity(chart, visit, encounter)
    if person.sex == "female" and 15 <= age <= 50:
        _pregnancy(chart, visit, encounter)
    if age >= 60 or "in need" in person.traits:
        _function(chart, visit, encounter)


def _asked(chart: Chart, visit: Visit, encounter: str, code: Json, category: str) -> Json:
    return {
        "status": "final",
        "category": [coding(_CATEGORY, category)],
        "code": code,
        "subject": chart.subject,
        "encounter": ref(encounter),
        "effectiveDateTime": chart.at(visit.start + timedelta(minutes=5)),
        "performer": [ref(chart.person.doctor.practitioner)],
    }


def _surveyed(chart: Chart, visit: Visit, encounter: str, code: Json, domain: str) -> Json:
    body = _asked(chart, visit, encounter, code, "survey")
    body["category"].append(coding(_US_CATEGORY, domain))
    return body


def _identity(chart: Chart, visit: Visit, encounter: str) -> None:
    rng = chart.rng
    code = concept(loinc("76690-7", "Sexual orientation"))
    body = _asked(chart, visit, encounter, code, "social-history")
    orientation = rng.choices(_ORIENTATION, (8, 1, 1))[0]
    chart.add(
        "Observation", "us-core-observation-sexual-orientation", body | {"valueCodeableConcept": concept(orientation)}
    )
    body = _asked(chart, visit, encounter, concept(loinc("11341-5", "Occupation")), "social-history")
    del body["effectiveDateTime"]
    since = visit.day - timedelta(days=rng.randint(400, 2400))
    industry: Json = {
        "code": concept(loinc("86188-0", "Industry")),
        "valueCodeableConcept": coding(_WORK, "621610.008495"),
    }
    body |= {
        "effectivePeriod": {"start": since.isoformat()},
        "valueCodeableConcept": coding(_WORK, "31-1014.00.007136"),
        "component": [industry],
    }
    chart.add("Observation", "us-core-observation-occupation", body)


def _pregnancy(chart: Chart, visit: Visit, encounter: str) -> None:
    code = concept(loinc("82810-3", "Pregnancy status"))
    body = _asked(chart, visit, encounter, code, "social-history")
    body["valueCodeableConcept"] = concept(snomed("60001007", "Not pregnant"))
    chart.add("Observation", "us-core-observation-pregnancystatus", body)
    code = concept(loinc("86645-9", "Wish to become pregnant within a year"))
    body = _asked(chart, visit, encounter, code, "social-history")
    body["valueCodeableConcept"] = concept(snomed("454381000124105", "Not sure"))
    chart.add("Observation", "us-core-observation-pregnancyintent", body)


def _hunger(chart: Chart, visit: Visit, encounter: str) -> None:
    need = "in need" in chart.person.traits
    answer = ("LA28397-0", "Often true") if need else ("LA28399-6", "Never true")
    risk = ("LA19952-3", "At risk") if need else ("LA19983-8", "No risk")
    items: list[str] = []
    for code, text, value in (
        ("88122-7", "Worried that food would run out", answer),
        ("88124-3", "Risk of food insecurity", risk),
    ):
        body = _surveyed(chart, visit, encounter, concept(loinc(code, text)), "sdoh")
        body["valueCodeableConcept"] = concept(loinc(*value))
        if items:
            body["derivedFrom"] = [ref(items[0])]
        items.append(chart.add("Observation", _SCREENING, body))
    body = _surveyed(chart, visit, encounter, concept(loinc("88121-9", "Hunger screening")), "sdoh")
    chart.add("Observation", _SCREENING, body | {"hasMember": [ref(item) for item in items]})
    if need:
        dear = concept(snomed("160695008", "Transport too expensive"))
        body = _asked(chart, visit, encounter, dear, "social-history") | {"valueBoolean": True}
        body["category"].append(coding(_US_CATEGORY, "sdoh"))
        chart.add("Observation", _SIMPLE, body | {"derivedFrom": [ref(items[0])]})


def _mood(chart: Chart, visit: Visit, encounter: str) -> None:
    low = "depression" in chart.person.problems
    score = chart.rng.randint(8, 18) if low else chart.rng.randint(0, 6)
    body = _surveyed(chart, visit, encounter, concept(loinc("44261-6", "PHQ-9 score")), "functional-status")
    body["valueQuantity"] = quantity(score, "points", "{score}")
    total = chart.add("Observation", _SCREENING, body)
    if low:
        severity = concept(loinc("LA6751-7", "Moderate")) if score > 9 else concept(loinc("LA6752-5", "Mild"))
        code = concept(loinc("94023-9", "Severity of depression"))
        body = _asked(chart, visit, encounter, code, "social-history") | {"valueCodeableConcept": severity}
        body["category"] = [coding(_US_CATEGORY, "disability-status")]
        chart.add("Observation", _SIMPLE, body | {"derivedFrom": [ref(total)]})


def _function(chart: Chart, visit: Visit, encounter: str) -> None:
    rng = chart.rng
    code = concept(loinc("72172-0", "Cognitive assessment score"))
    body = _surveyed(chart, visit, encounter, code, "cognitive-status")
    chart.add("Observation", _SCREENING, body | {"valueQuantity": quantity(rng.randint(22, 30), "points", "{score}")})
    code = concept(loinc("69856-3", "Deaf or hard of hearing"))
    body = _surveyed(chart, visit, encounter, code, "disability-status")
    body["valueString"] = rng.choice(("No difficulty", "Some difficulty with quiet speech"))
    chart.add("Observation", _SCREENING, body)
    body = _asked(chart, visit, encounter, concept(loinc("11332-4", "Cognitive function")), "social-history")
    body["category"] = [coding(_US_CATEGORY, "cognitive-status")]
    chart.add("Observation", _SIMPLE, body | {"valueString": "Alert and well oriented; manages the household alone."})
    body = _asked(chart, visit, encounter, {"text": "Steps walked in a day"}, "activity")
    body["category"].append(coding(_US_CATEGORY, "functional-status"))
    chart.add("Observation", _SIMPLE, body | {"valueQuantity": quantity(rng.randint(9, 80) * 100, "steps", "{steps}")})
