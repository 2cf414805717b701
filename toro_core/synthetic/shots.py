"""Immunizations, by the age at which they are usually given."""

from __future__ import annotations

from datetime import date, timedelta

from toro_core.synthetic.chart import Chart
from toro_core.synthetic.codes import VACCINES, snomed
from toro_core.synthetic.elements import TERMINOLOGY, Code, Json, coding, concept, ref

__all__ = ["immunize"]

_BY_MONTH = (
    ("hepatitis B", (0, 1, 6)),
    ("rotavirus", (2, 4)),
    ("DTaP", (2, 4, 6, 15, 55)),
    ("Hib", (2, 4, 12)),
    ("pneumococcal", (2, 4, 6, 12)),
    ("polio", (2, 4, 6, 55)),
    ("MMR", (12, 55)),
    ("varicella", (12, 55)),
    ("Tdap", (11 * 12 + 3, 21 * 12, 31 * 12, 41 * 12, 51 * 12, 61 * 12, 71 * 12)),
    ("HPV", (11 * 12 + 3, 11 * 12 + 9)),
    ("meningococcal", (11 * 12 + 4, 16 * 12 + 2)),
    ("zoster", (50 * 12 + 3, 50 * 12 + 6)),
)
_RECORDED_YEARS = 12
"""Older shots were given elsewhere and are not in the record."""


def immunize(chart: Chart) -> None:
    """Record the shots due so far, a yearly influenza shot, and one that was refused or whose date is lost."""
    person, rng = chart.person, chart.rng
    earliest = person.until - timedelta(days=365 * _RECORDED_YEARS)
    for name, months in _BY_MONTH:
        for month in months:
            day = person.born + timedelta(days=round(month * 30.44) + rng.randint(0, 20))
            if earliest <= day < person.until:
                _given(chart, VACCINES[name], day)
    for year in range(person.until.year - 3, person.until.year):
        day = date(year, 10, rng.randint(1, 28))
        if person.born + timedelta(days=183) < day < person.until:
            if rng.random() < 0.15 or ("gaps" in person.traits and year == person.until.year - 1):
                _refused(chart, VACCINES["influenza"], day)
            else:
                _given(chart, VACCINES["influenza"], day)
    if "gaps" in person.traits:
        unknown = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
        body = _shot(chart, VACCINES["Tdap"]) | {
            "_occurrenceDateTime": {"extension": [unknown]},
            "primarySource": False,
        }
        chart.add("Immunization", "us-core-immunization", body)


def _shot(chart: Chart, vaccine: Code) -> Json:
    return {"status": "completed", "vaccineCode": concept(vaccine), "patient": chart.subject, "primarySource": True}


def _given(chart: Chart, vaccine: Code, day: date) -> None:
    body = _shot(chart, vaccine) | {
        "occurrenceDateTime": day.isoformat(),
        "lotNumber": f"L{chart.rng.randint(1000, 9999)}",
        "site": concept(snomed("368208006", "Left upper arm")),
        "performer": [{"actor": ref(chart.person.doctor.practitioner)}],
    }
    chart.add("Immunization", "us-core-immunization", body)


def _refused(chart: Chart, vaccine: Code, day: date) -> None:
    reason = coding(TERMINOLOGY + "v3-ActReason", "PATOBJ")
    body = _shot(chart, vaccine) | {"status": "not-done", "statusReason": reason, "occurrenceDateTime": day.isoformat()}
    chart.add("Immunization", "us-core-immunization", body)
