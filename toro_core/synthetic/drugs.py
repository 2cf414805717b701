"""What was prescribed and what the patient says they take."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import DRUGS, ILLNESSES, PROBLEMS
from toro_core.synthetic.directory import medication_id
from toro_core.synthetic.elements import TERMINOLOGY, Json, coding, concept, quantity, ref
from toro_core.synthetic.staff import Clinician
from toro_core.synthetic.visits import attending

__all__ = ["long_term", "over_the_counter", "treat"]

_TIMES = {1: "once", 2: "twice", 3: "three times"}


def long_term(chart: Chart) -> None:
    """Prescribe for the problems of long standing, and state what is taken."""
    person = chart.person
    for name in person.problems:
        for drug in PROBLEMS[name].drugs:
            day = person.until - timedelta(days=chart.rng.randint(60, 700))
            reason = chart.known[f"problem:{name}"]
            body = _request(chart, person.doctor, drug, datetime.combine(day, time(10)), "community")
            body |= {"status": "active" if person.died is None else "stopped", "reasonReference": [ref(reason)]}
            request = chart.add("MedicationRequest", "us-core-medicationrequest", body)
            chart.known[f"drug:{drug}"] = request
            _statement(chart, drug, day, request)


def treat(chart: Chart, visit: Visit, encounter: str) -> None:
    """Prescribe for the complaint a visit was about."""
    if visit.reason is None or chart.person.age(visit.day) < 6:  # nothing on the formulary suits a small child
        return
    inpatient = visit.kind == "inpatient"
    problem = ILLNESSES.get(visit.reason) or PROBLEMS[visit.reason]
    for drug in problem.drugs:
        if drug == "amoxicillin" and "allergy:Penicillins" in chart.known:
            continue
        category = "inpatient" if inpatient else "outpatient"
        body = _request(chart, attending(chart, visit), drug, visit.start, category)
        body |= {"status": "completed", "encounter": ref(encounter), "reasonCode": [concept(*problem.codes)]}
        chart.add("MedicationRequest", "us-core-medicationrequest", body)
        if inpatient:
            body = _request(chart, attending(chart, visit), drug, visit.end, "discharge")
            chart.add("MedicationRequest", "us-core-medicationrequest", body | {"encounter": ref(encounter)})


def over_the_counter(chart: Chart) -> None:
    """Record something bought without a prescription, as another clinician reported it."""
    day = chart.person.until - timedelta(days=chart.rng.randint(30, 300))
    body = _request(chart, chart.person.doctor, "acetaminophen", datetime.combine(day, time(11)), "community")
    del body["reportedBoolean"]
    body |= {"intent": "plan", "reportedReference": ref(chart.person.doctor.practitioner)}
    request = chart.add("MedicationRequest", "us-core-medicationrequest", body)
    _statement(chart, "acetaminophen", day, request)


def _request(chart: Chart, prescriber: Clinician, name: str, when: datetime, category: str) -> Json:
    drug = DRUGS[name]
    times = _TIMES[drug.times_a_day]
    by_reference = chart.rng.random() < 0.5
    medication: Json = (
        {"medicationReference": ref(f"Medication/{medication_id(name)}")}
        if by_reference
        else {"medicationCodeableConcept": concept(drug.code)}
    )
    return {
        "status": "active" if chart.person.died is None else "stopped",
        "intent": "order",
        "category": [coding(TERMINOLOGY + "medicationrequest-category", category)],
        "reportedBoolean": False,
        **medication,
        "subject": chart.subject,
        "authoredOn": chart.at(when),
        "requester": ref(prescriber.practitioner),
        "dosageInstruction": [
            {
                "text": f"{drug.dose} {drug.unit} {times} a day",
                "timing": {"repeat": {"frequency": drug.times_a_day, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": _amount(drug.dose, drug.unit)}],
            }
        ],
        "dispenseRequest": {
            "numberOfRepeatsAllowed": chart.rng.randint(0, 5),
            "quantity": _amount(drug.dispensed, drug.unit),
        },
    }


def _amount(value: float, unit: str) -> Json:
    return quantity(value, unit, unit if unit in {"mg", "ug"} else f"{{{unit}}}")


def _statement(chart: Chart, name: str, since: date, request: str) -> None:
    drug = DRUGS[name]
    until = chart.person.died
    chart.add(
        "MedicationStatement",
        None,
        {
            "basedOn": [ref(request)],
            "status": "active" if until is None else "completed",
            "medicationCodeableConcept": concept(drug.code),
            "subject": chart.subject,
            "effectivePeriod": {"start": since.isoformat()} | ({"end": until.isoformat()} if until else {}),
            "dateAsserted": (since + timedelta(days=7)).isoformat(),
            "informationSource": chart.subject,
            "dosage": [{"text": f"{drug.dose} {drug.unit} {_TIMES[drug.times_a_day]} a day"}],
        },
    )
