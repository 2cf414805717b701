"""Problems, allergies, and the plan, goals and team that follow from them."""

from __future__ import annotations

from datetime import date, timedelta

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import ALLERGIES, ILLNESSES, NO_ALLERGY, PROBLEMS, icd10, snomed
from toro_core.synthetic.elements import TERMINOLOGY, Json, coding, concept, ref
from toro_core.synthetic.visits import attending

__all__ = ["allergies", "care", "diagnose", "problem_list"]

_CLINICAL = TERMINOLOGY + "condition-clinical"
_VERIFICATION = TERMINOLOGY + "condition-ver-status"
_US_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
_ASSERTED = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"


def problem_list(chart: Chart) -> None:
    """Record the problems of long standing, one that is over, and a health concern where there is need."""
    person, rng = chart.person, chart.rng
    for name in person.problems:
        onset = person.until - timedelta(days=rng.randint(1200, 2000))
        body = _problem(chart, onset, "problem-list-item") | {"code": concept(*PROBLEMS[name].codes)}
        chart.known[f"problem:{name}"] = _listed(chart, body)
    if "pregnant" in person.traits:
        onset = person.until - timedelta(days=rng.randint(420, 600))
        over = onset + timedelta(days=rng.randint(265, 285))
        body = _problem(chart, onset, "problem-list-item") | {"code": concept(*PROBLEMS["pregnancy"].codes)}
        body["clinicalStatus"] = coding(_CLINICAL, "resolved")
        body["abatementDateTime"] = over.isoformat()
        _listed(chart, body)
    if "in need" in person.traits:
        body = _problem(chart, person.until - timedelta(days=400), "health-concern")
        body["category"].append(coding(_US_CATEGORY, "sdoh"))
        body["code"] = concept(snomed("733423003", "Food insecurity"), icd10("Z59.41", "Food insecurity"))
        chart.known["concern"] = _listed(chart, body)


def diagnose(chart: Chart, visit: Visit, encounter: str) -> str | None:
    """Record what a visit for a complaint found; a checkup finds nothing new."""
    if visit.reason is None:
        return None
    problem = ILLNESSES.get(visit.reason) or PROBLEMS[visit.reason]
    body = _diagnosis(chart, visit) | {"code": concept(*problem.codes), "encounter": ref(encounter)}
    return chart.add("Condition", "us-core-condition-encounter-diagnosis", body)


def allergies(chart: Chart) -> None:
    """Record one or two allergies, or that none is known."""
    rng = chart.rng
    found = rng.sample(ALLERGIES, rng.choice((0, 1, 1, 2)))
    for allergy in found:
        onset = chart.person.born + (chart.person.until - chart.person.born) / 2
        reaction = {"manifestation": [concept(allergy.manifestation)], "severity": rng.choice(("mild", "moderate"))}
        body = _allergy(chart) | {
            "category": [allergy.category],
            "criticality": rng.choice(("low", "high")),
            "code": concept(allergy.code),
            "onsetDateTime": onset.isoformat(),
            "reaction": [reaction],
        }
        chart.known["allergy"] = chart.add("AllergyIntolerance", "us-core-allergyintolerance", body)
        chart.known[f"allergy:{allergy.code.text}"] = chart.known["allergy"]
    if not found:
        body = _allergy(chart) | {"code": concept(NO_ALLERGY)}
        chart.known["allergy"] = chart.add("AllergyIntolerance", "us-core-allergyintolerance", body)


def care(chart: Chart) -> None:
    """Record the care team, a goal and the care plan."""
    person = chart.person
    start = person.until - timedelta(days=400) if person.age(person.until) > 2 else person.born
    team = chart.add("CareTeam", "us-core-careteam", _team(chart))
    goal = chart.add("Goal", "us-core-goal", _goal(chart, start))
    plan = chart.add("CarePlan", "us-core-careplan", _plan(chart, start, team, goal))
    chart.known.update({"team": team, "goal": goal, "plan": plan})


def _problem(chart: Chart, onset: date, category: str) -> Json:
    own = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
    system = own if category == "health-concern" else TERMINOLOGY + "condition-category"
    recorded = (onset + timedelta(days=chart.rng.randint(1, 20))).isoformat()
    return {
        "extension": [{"url": _ASSERTED, "valueDateTime": recorded}],
        "clinicalStatus": coding(_CLINICAL, "active"),
        "verificationStatus": coding(_VERIFICATION, "confirmed"),
        "category": [coding(system, category)],
        "subject": chart.subject,
        "onsetDateTime": onset.isoformat(),
        "recordedDate": recorded,
        "recorder": ref(chart.person.doctor.practitioner),
    }


def _listed(chart: Chart, body: Json) -> str:
    return chart.add("Condition", "us-core-condition-problems-health-concerns", body)


def _diagnosis(chart: Chart, visit: Visit) -> Json:
    over = visit.day + timedelta(days=chart.rng.randint(5, 14))
    lasting = visit.reason in chart.person.problems or over > chart.person.until
    body: Json = {
        "clinicalStatus": coding(_CLINICAL, "active" if lasting else "resolved"),
        "verificationStatus": coding(_VERIFICATION, "confirmed"),
        "category": [coding(TERMINOLOGY + "condition-category", "encounter-diagnosis")],
        "subject": chart.subject,
        "onsetDateTime": visit.day.isoformat(),
        "recordedDate": chart.at(visit.start),
        "recorder": ref(attending(chart, visit).practitioner),
    }
    return body if lasting else body | {"abatementDateTime": over.isoformat()}


def _allergy(chart: Chart) -> Json:
    return {
        "clinicalStatus": coding(TERMINOLOGY + "allergyintolerance-clinical", "active"),
        "verificationStatus": coding(TERMINOLOGY + "allergyintolerance-verification", "confirmed"),
        "type": "allergy",
        "patient": chart.subject,
        "recorder": ref(chart.person.doctor.practitioner),
    }


def _team(chart: Chart) -> Json:
    doctor = chart.person.doctor
    other = snomed("223366009", "Healthcare professional")
    members = (
        (concept(doctor.role), doctor.practitioner),
        (concept(other), doctor.practitioner_role),
        (concept(snomed("133932002", "Caregiver")), chart.known["relative"]),
    )
    return {
        "status": "active" if chart.person.died is None else "inactive",
        "name": f"Care team of {chart.person.given} {chart.person.family}",
        "subject": chart.subject,
        "participant": [{"role": [role], "member": ref(member)} for role, member in members],
        "managingOrganization": [ref(chart.person.site.organization)],
    }


def _goal(chart: Chart, start: date) -> Json:
    person = chart.person
    first = next(iter(person.problems), None)
    text = f"Keep {PROBLEMS[first].codes[0].text.lower()} under control" if first else "Stay active and keep well"
    body: Json = {
        "lifecycleStatus": "active" if person.died is None else "cancelled",
        "description": {"text": text},
        "subject": chart.subject,
        "startDate": start.isoformat(),
        "target": [{"dueDate": (start + timedelta(days=730)).isoformat()}],
    }
    return body | _addressed(chart)


def _plan(chart: Chart, start: date, team: str, goal: str) -> Json:
    person = chart.person
    aims = ", ".join(PROBLEMS[name].codes[0].text.lower() for name in person.problems) or "staying well"
    words = f"Yearly checkups, a balanced diet and exercise; attention to {aims}."
    detail = {"status": "in-progress", "code": {"text": "Balanced diet and exercise"}}
    body: Json = {
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>',
        },
        "status": "active" if person.died is None else "completed",
        "intent": "plan",
        "category": [coding("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan")],
        "description": words,
        "subject": chart.subject,
        "period": {"start": start.isoformat()},
        "author": ref(person.doctor.practitioner),
        "careTeam": [ref(team)],
        "goal": [ref(goal)],
        "activity": [{"detail": detail}],
    }
    return body | _addressed(chart)


def _addressed(chart: Chart) -> Json:
    problems = [ref(chart.known[f"problem:{name}"]) for name in chart.person.problems]
    return {"addresses": problems} if problems else {}
