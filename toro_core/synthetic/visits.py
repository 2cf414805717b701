"""When a patient was seen and why, in time order, and the Encounter and Appointment of each visit."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import ILLNESSES, snomed
from toro_core.synthetic.directory import workday
from toro_core.synthetic.elements import TERMINOLOGY, Code, Json, coding, concept, identifier, local, ref
from toro_core.synthetic.staff import SPECIALISTS, Clinician

__all__ = ["attending", "book", "plan", "record"]

_INFANT_DAYS = (5, 30, 61, 122, 183, 274, 365, 457, 548)
_YEARS = 3
_CHILDISH = ("throat", "ear", "bronchitis")
_CHECKUP = snomed("162673000", "General examination")
_KINDS: dict[str, tuple[str, Code]] = {
    "wellness": ("AMB", _CHECKUP),
    "problem": ("AMB", snomed("185345009", "Visit for a symptom")),
    "virtual": ("VR", snomed("185317003", "Telephone or video visit")),
    "emergency": ("EMER", snomed("50849002", "Emergency visit")),
    "inpatient": ("IMP", snomed("32485007", "Hospital admission")),
}
_WELL_CHILD = snomed("410620009", "Well child visit")


def plan(chart: Chart) -> list[Visit]:
    """Lay out the visits of the last three years, oldest first."""
    person, rng = chart.person, chart.rng
    visits = [_visit(chart, "wellness", day) for day in _checkups(chart)]
    for _ in range(rng.randint(1, 3)):
        day = person.until - timedelta(days=rng.randint(10, min(365 * _YEARS, (person.until - person.born).days - 9)))
        illness = rng.choice(_CHILDISH if person.age(day) < 6 else tuple(ILLNESSES))
        visits.append(_visit(chart, rng.choice(("problem", "problem", "virtual")), day, illness))
    last = person.until - timedelta(days=rng.randint(20, 400))
    if "injured" in person.traits:
        visits.append(_visit(chart, "emergency", last, "fracture"))
    if "admitted" in person.traits:
        visits.append(_visit(chart, "inpatient", last, "heart failure"))
    return sorted(visits, key=lambda visit: visit.start)


def attending(chart: Chart, visit: Visit) -> Clinician:
    """Say who sees the patient at this visit."""
    if visit.kind == "inpatient":
        return SPECIALISTS["Cardiology"]
    if visit.kind == "emergency":
        return SPECIALISTS["Orthopaedic surgery"]
    return chart.person.doctor


def record(chart: Chart, visit: Visit) -> str:
    """Write the visit's Encounter, and the Appointment a checkup was booked by."""
    person = chart.person
    doctor = attending(chart, visit)
    act, kind = _KINDS[visit.kind]
    if visit.kind == "wellness" and person.age(visit.day) < 18:
        kind = _WELL_CHILD
    inpatient = visit.kind == "inpatient"
    period = chart.between(visit.start, visit.end)
    place = doctor.site.ward if inpatient else doctor.site.clinic
    body: Json = {
        "identifier": [identifier(local("visit"), f"V{person.number + 1:06d}-{len(chart.resources):03d}")],
        "status": "finished",
        "class": {"system": TERMINOLOGY + "v3-ActCode", "code": act},
        "type": [concept(kind)],
        "subject": chart.subject,
        "participant": [
            {
                "type": [coding(TERMINOLOGY + "v3-ParticipationType", "PPRF")],
                "period": dict(period),
                "individual": ref(doctor.practitioner),
            }
        ],
        "period": period,
        "serviceProvider": ref(doctor.site.organization),
        "location": [{"location": ref(place), "status": "completed"}],
    }
    if visit.kind == "wellness":
        body["appointment"] = [ref(_kept(chart, visit, doctor))]
        body["reasonCode"] = [concept(kind)]
    if inpatient:
        body["hospitalization"] = {"dischargeDisposition": coding("http://www.nubc.org/patient-discharge", "01")}
    return chart.add("Encounter", "us-core-encounter", body)


def book(chart: Chart) -> None:
    """Book the next checkup into its own slot, and remember one that was missed."""
    person, rng = chart.person, chart.rng
    if person.died:
        return
    doctor = person.doctor
    half_hour = person.number % 8  # nobody shares a slot before the year's mornings are full
    day = workday(chart.anchor, person.number // 8 % 240)
    start = datetime.combine(day, time(8 + half_hour // 2, 30 * (half_hour % 2)))
    times = {"start": chart.at(start), "end": chart.at(start + timedelta(minutes=30))}
    slot = chart.add("Slot", None, {"schedule": ref(doctor.schedule), "status": "busy", **times})
    chart.add("Appointment", None, _appointment(chart, doctor, "booked", "accepted", times) | {"slot": [ref(slot)]})
    if rng.random() < 0.4:
        missed = datetime.combine(chart.anchor - timedelta(days=rng.randint(10, 200)), time(9))
        times = {"start": chart.at(missed), "end": chart.at(missed + timedelta(minutes=30))}
        status = rng.choice(("noshow", "cancelled"))
        chart.add("Appointment", None, _appointment(chart, doctor, status, "declined", times))


def _checkups(chart: Chart) -> list[date]:
    person, rng = chart.person, chart.rng
    if person.age(person.until) < 2:
        days = [person.born + timedelta(days=days) for days in _INFANT_DAYS]
        return [day for day in days if day < person.until]
    first = person.until - timedelta(days=rng.randint(30, 300))
    return [first - timedelta(days=365 * year) for year in range(_YEARS)]


def _visit(chart: Chart, kind: str, day: date, reason: str | None = None) -> Visit:
    rng = chart.rng
    start = datetime.combine(day, time(rng.randint(8, 16), rng.choice((0, 15, 30, 45))))
    length = (
        timedelta(days=rng.randint(2, 6)) if kind == "inpatient" else timedelta(minutes=rng.choice((20, 30, 45, 60)))
    )
    return Visit(kind=kind, start=start, end=start + length, reason=reason)


def _kept(chart: Chart, visit: Visit, doctor: Clinician) -> str:
    times = {"start": chart.at(visit.start), "end": chart.at(visit.end)}
    return chart.add("Appointment", None, _appointment(chart, doctor, "fulfilled", "accepted", times))


def _appointment(chart: Chart, doctor: Clinician, status: str, answer: str, times: dict[str, str]) -> Json:
    body: Json = {
        "status": status,
        "serviceType": [concept(_CHECKUP)],
        "specialty": [concept(doctor.specialty)],
        "appointmentType": coding(TERMINOLOGY + "v2-0276", "ROUTINE"),
        "description": "Checkup",
        **times,
        "participant": [
            {"actor": chart.subject, "status": answer},
            {"actor": ref(doctor.practitioner), "status": "accepted"},
            {"actor": ref(doctor.site.clinic), "status": "accepted"},
        ],
    }
    if status == "cancelled":
        body["cancelationReason"] = coding(TERMINOLOGY + "appointment-cancellation-reason", "pat")
    return body
