"""Imaging, heart traces, biopsies and implants: procedures, what they showed, and the reports on them."""

from __future__ import annotations

from datetime import datetime, timedelta

from toro_core.synthetic.chart import Chart, Visit
from toro_core.synthetic.codes import loinc, snomed
from toro_core.synthetic.documents import file_report
from toro_core.synthetic.elements import LOINC, TERMINOLOGY, Code, Json, coding, concept, quantity, ref
from toro_core.synthetic.staff import SPECIALISTS, Clinician
from toro_core.synthetic.visits import attending

__all__ = ["examine"]

_RADIOLOGY, _CARDIOLOGY, _PATHOLOGY = "LP29684-5", "LP29708-2", "LP7839-6"


def examine(chart: Chart, visit: Visit, encounter: str) -> None:
    """Do the examinations that the visit and the patient's traits call for."""
    traits = chart.person.traits
    if visit.kind == "inpatient":
        _heart(chart, visit, encounter)
        if "paced" in traits:
            _implant(chart, visit, encounter)
    elif visit.kind == "emergency":
        _ankle(chart, visit, encounter)
    elif visit.kind == "wellness" and "biopsy" in traits and "biopsy" not in chart.known:
        _biopsy(chart, visit, encounter)


def _heart(chart: Chart, visit: Visit, encounter: str) -> None:
    rng = chart.rng
    when = visit.start + timedelta(hours=5)
    order = _order(chart, visit, encounter, snomed("40701008", "Echocardiography"), snomed("363679005", "Imaging"))
    _procedure(chart, encounter, snomed("40701008", "Echocardiography"), order, when)
    fraction = _finding(chart, encounter, loinc("10230-1", "Ejection fraction"), "procedure", when)
    fraction["valueQuantity"] = quantity(rng.randint(25, 42), "%", "%")
    rhythm = _finding(chart, encounter, loinc("8884-9", "Heart rhythm"), "procedure", when)
    rhythm["valueCodeableConcept"] = concept(snomed("64730000", "Normal sinus rhythm"))
    results = [chart.add("Observation", "us-core-observation-clinical-result", body) for body in (fraction, rhythm)]
    words = ["Reduced ejection fraction.", "Regular rhythm.", "No effusion."]
    code = loinc("11522-0", "Echocardiography report")
    _report(chart, visit, encounter, code, _CARDIOLOGY, SPECIALISTS["Cardiology"], when, results, words)


def _ankle(chart: Chart, visit: Visit, encounter: str) -> None:
    when = visit.start + timedelta(minutes=15)
    order = _order(chart, visit, encounter, snomed("168665002", "X-ray of ankle"), snomed("363679005", "Imaging"))
    _procedure(chart, encounter, snomed("168665002", "X-ray of ankle"), order, when)
    seen = _finding(chart, encounter, loinc("19005-8", "Imaging impression"), "imaging", when)
    seen["valueString"] = "Fracture of the outer ankle without displacement."
    results = [chart.add("Observation", "us-core-observation-clinical-result", seen)]
    code = loinc("18748-4", "Imaging report")
    words = ["Fracture of the outer ankle.", "No displacement; joint space kept."]
    _report(chart, visit, encounter, code, _RADIOLOGY, SPECIALISTS["Diagnostic radiology"], when, results, words)


def _biopsy(chart: Chart, visit: Visit, encounter: str) -> None:
    when = visit.start + timedelta(hours=2)
    order = _order(
        chart, visit, encounter, snomed("73761001", "Colonoscopy"), snomed("387713003", "Surgical procedure")
    )
    chart.known["biopsy"] = _procedure(chart, encounter, snomed("73761001", "Colonoscopy"), order, when)
    words = ["Benign polyp, wholly removed.", "No dysplasia."]
    code, who = loinc("11526-1", "Pathology report"), SPECIALISTS["Pathology"]
    _report(chart, visit, encounter, code, _PATHOLOGY, who, when, [chart.known["lab"]], words)


def _implant(chart: Chart, visit: Visit, encounter: str) -> None:
    person, rng = chart.person, chart.rng
    when = visit.start + timedelta(days=1)
    code = snomed("307280005", "Implantation of a pacemaker")
    order = _order(chart, visit, encounter, code, snomed("387713003", "Surgical procedure"))
    serial, lot = f"SN{rng.randint(10**8, 10**9)}", f"LOT{rng.randint(1000, 9999)}"
    made = when.date() - timedelta(days=rng.randint(90, 400))
    expires = made + timedelta(days=1461)
    gtin = "09999999000016"
    chart.known["device"] = chart.add(
        "Device",
        "us-core-implantable-device",
        {
            "udiCarrier": [
                {
                    "deviceIdentifier": gtin,
                    "carrierHRF": f"(01){gtin}(11){made:%y%m%d}(17){expires:%y%m%d}(10){lot}(21){serial}",
                    "entryType": "barcode",
                }
            ],
            "status": "active",
            "distinctIdentifier": f"D{person.number:06d}",
            "manufacturer": "Synthetic Cardiac Devices",
            "manufactureDate": made.isoformat(),
            "expirationDate": expires.isoformat(),
            "lotNumber": lot,
            "serialNumber": serial,
            "deviceName": [{"name": "Steadybeat pacemaker", "type": "user-friendly-name"}],
            "type": concept(snomed("14106009", "Pacemaker")),
            "patient": chart.subject,
        },
    )
    procedure = _procedure(chart, encounter, code, order, when)
    chart.resources[-1]["focalDevice"] = [{"manipulated": ref(chart.known["device"])}]
    chart.known["implantation"] = procedure


def _order(chart: Chart, visit: Visit, encounter: str, code: Code, category: Code) -> str:
    reason = chart.known.get("diagnosis")
    body: Json = {
        "status": "completed",
        "intent": "order",
        "category": [concept(category)],
        "code": concept(code),
        "subject": chart.subject,
        "encounter": ref(encounter),
        "occurrencePeriod": chart.between(visit.start, visit.end),
        "authoredOn": chart.at(visit.start),
        "requester": ref(attending(chart, visit).practitioner),
    }
    if reason and visit.reason:
        body["reasonReference"] = [ref(reason)]
    return chart.add("ServiceRequest", "us-core-servicerequest", body)


def _procedure(chart: Chart, encounter: str, code: Code, order: str, when: datetime) -> str:
    return chart.add(
        "Procedure",
        "us-core-procedure",
        {
            "basedOn": [ref(order)],
            "status": "completed",
            "code": concept(code),
            "subject": chart.subject,
            "encounter": ref(encounter),
            "performedDateTime": chart.at(when),
        },
    )


def _finding(chart: Chart, encounter: str, code: Code, category: str, when: datetime) -> Json:
    return {
        "status": "final",
        "category": [coding(TERMINOLOGY + "observation-category", category)],
        "code": concept(code),
        "subject": chart.subject,
        "encounter": ref(encounter),
        "effectiveDateTime": chart.at(when),
    }


def _report(
    chart: Chart,
    visit: Visit,
    encounter: str,
    code: Code,
    section: str,
    author: Clinician,
    when: datetime,
    results: list[str],
    words: list[str],
) -> None:
    binary = file_report(chart, visit, encounter, code, author, when, words)
    chart.add(
        "DiagnosticReport",
        "us-core-diagnosticreport-note",
        {
            "status": "final",
            "category": [coding(LOINC, section)],
            "code": concept(code),
            "subject": chart.subject,
            "encounter": ref(encounter),
            "effectiveDateTime": chart.at(when),
            "issued": chart.at(when + timedelta(hours=6)),
            "performer": [ref(author.practitioner), ref(author.site.organization)],
            "result": [ref(result) for result in results],
            "conclusion": " ".join(words),
            "presentedForm": [{"contentType": "text/plain", "url": binary, "title": code.text}],
        },
    )
