"""Laboratory work: the order, the specimen, the results and the report."""

from __future__ import annotations

from datetime import datetime, timedelta

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import PANELS, Test, loinc, snomed
from toro_core.synthetic.elements import SNOMED, TERMINOLOGY, Json, coding, concept, identifier, local, quantity, ref
from toro_core.synthetic.visits import attending

__all__ = ["draw", "urinalysis"]

_OFTEN_HIGH = {
    "2345-7": "diabetes",
    "4548-4": "diabetes",
    "2093-3": "lipids",
    "13457-7": "lipids",
    "3016-3": "hypothyroidism",
}
_LABORATORY = snomed("108252007", "Laboratory procedure")


def draw(chart: Chart, visit: Visit, encounter: str) -> None:
    """Order and report the panels due at a checkup."""
    person, rng = chart.person, chart.rng
    age = person.age(visit.day)
    names = ["blood count"] if age >= 1 else []
    if age >= 18:
        names += ["metabolic"] + (["lipids"] if age >= 35 else [])
    if "diabetes" in person.problems:
        names.append("A1c")
    if "hypothyroidism" in person.problems:
        names.append("thyroid")
    for name in names:
        panel = PANELS[name]
        order, specimen = _collect(chart, visit, encounter, concept(panel.code), concept(panel.specimen))
        when = visit.start + timedelta(minutes=20)
        results = [
            chart.add("Observation", "us-core-observation-lab", _result(chart, test, when, encounter, specimen))
            for test in panel.tests
        ]
        _report(chart, visit, encounter, concept(panel.code), order, specimen, results)
        chart.known["lab"] = results[0]
        if rng.random() < 0.5:
            chart.known["lab report"] = results[-1]


def urinalysis(chart: Chart, visit: Visit, encounter: str) -> None:
    """Order and report a test strip, whose findings are words rather than numbers."""
    code = concept(loinc("24357-6", "Urinalysis"))
    order, specimen = _collect(chart, visit, encounter, code, concept(snomed("122575003", "Urine")))
    when = visit.start + timedelta(minutes=20)
    positive = chart.rng.random() < 0.2
    finding = ("10828004", "Positive") if positive else ("260385009", "Negative")
    color = _observation(chart, concept(loinc("5778-6", "Color of urine")), when, encounter, specimen)
    color["valueString"] = chart.rng.choice(("Yellow", "Pale yellow", "Amber"))
    nitrite = _observation(chart, concept(loinc("5802-4", "Nitrite in urine")), when, encounter, specimen)
    nitrite["valueCodeableConcept"] = {"coding": [{"system": SNOMED, "code": finding[0]}], "text": finding[1]}
    results = [chart.add("Observation", "us-core-observation-lab", body) for body in (color, nitrite)]
    _report(chart, visit, encounter, code, order, specimen, results)


def _collect(chart: Chart, visit: Visit, encounter: str, code: Json, kind: Json) -> tuple[str, str]:
    doctor = attending(chart, visit)
    order = chart.add(
        "ServiceRequest",
        "us-core-servicerequest",
        {
            "status": "completed",
            "intent": "order",
            "category": [concept(_LABORATORY)],
            "code": code,
            "subject": chart.subject,
            "encounter": ref(encounter),
            "occurrencePeriod": chart.between(visit.start, visit.start + timedelta(hours=2)),
            "authoredOn": chart.at(visit.start),
            "requester": ref(doctor.practitioner),
            "reasonCode": [coding("http://hl7.org/fhir/sid/icd-10-cm", "Z00.00")],
        },
    )
    specimen = chart.add(
        "Specimen",
        "us-core-specimen",
        {
            "identifier": [identifier(local("specimen"), f"{chart.person.number + 1}-{len(chart.resources)}")],
            "status": "available",
            "type": kind,
            "subject": chart.subject,
            "receivedTime": chart.at(visit.start + timedelta(minutes=40)),
            "request": [ref(order)],
            "collection": {"collectedDateTime": chart.at(visit.start + timedelta(minutes=20))},
        },
    )
    return order, specimen


def _observation(chart: Chart, code: Json, when: datetime, encounter: str, specimen: str) -> Json:
    return {
        "status": "final",
        "category": [coding(TERMINOLOGY + "observation-category", "laboratory")],
        "code": code,
        "subject": chart.subject,
        "encounter": ref(encounter),
        "effectiveDateTime": chart.at(when),
        "issued": chart.at(when + timedelta(hours=3)),
        "performer": [ref(chart.person.site.organization)],
        "specimen": ref(specimen),
    }


def _result(chart: Chart, test: Test, when: datetime, encounter: str, specimen: str) -> Json:
    body = _observation(chart, concept(test.code), when, encounter, specimen)
    span = test.high - test.low
    low, high = test.low - span * 0.05, test.high + span * 0.05
    if _OFTEN_HIGH.get(test.code.code) in chart.person.problems:
        low, high = test.low + span * 0.7, test.high + span * 0.9
    value = round(chart.rng.uniform(low, high), test.digits)
    if not test.digits:
        value = int(value)
    flag = "L" if value < test.low else "H" if value > test.high else "N"
    body["valueQuantity"] = quantity(value, test.unit, test.unit)
    body["interpretation"] = [coding(TERMINOLOGY + "v3-ObservationInterpretation", flag)]
    body["referenceRange"] = [
        {"low": quantity(test.low, test.unit, test.unit), "high": quantity(test.high, test.unit, test.unit)}
    ]
    return body


def _report(
    chart: Chart, visit: Visit, encounter: str, code: Json, order: str, specimen: str, results: list[str]
) -> None:
    when = visit.start + timedelta(minutes=20)
    chart.add(
        "DiagnosticReport",
        "us-core-diagnosticreport-lab",
        {
            "basedOn": [ref(order)],
            "status": "final",
            "category": [coding(TERMINOLOGY + "v2-0074", "LAB")],
            "code": code,
            "subject": chart.subject,
            "encounter": ref(encounter),
            "effectiveDateTime": chart.at(when),
            "issued": chart.at(when + timedelta(hours=4)),
            "performer": [ref(attending(chart, visit).practitioner), ref(chart.person.site.organization)],
            "specimen": [ref(specimen)],
            "result": [ref(result) for result in results],
        },
    )
