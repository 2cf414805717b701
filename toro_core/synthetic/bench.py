"""Cheap volume for measurements: skewed, multi-valued and sparse where real data is, without a signed page in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from toro_core.synthetic.elements import LOINC, SNOMED, TERMINOLOGY, Json, identifier, local
from toro_core.synthetic.names import FAMILY, FEMALE, MALE

__all__ = ["bench_resources"]

_START = datetime(2015, 1, 1)
_MINUTES = 10 * 365 * 24 * 60
_CODES = (
    ("8867-4", "vital-signs", "/min", 72, 11),
    ("9279-1", "vital-signs", "/min", 16, 3),
    ("29463-7", "vital-signs", "kg", 78, 15),
    ("8302-2", "vital-signs", "cm", 169, 9),
    ("2345-7", "laboratory", "mg/dL", 98, 18),
    ("2160-0", "laboratory", "mg/dL", 1, 0.2),
    ("718-7", "laboratory", "g/dL", 13.8, 1.4),
    ("2823-3", "laboratory", "mmol/L", 4.2, 0.4),
)
_SHARE = 50
"""One resource in so many is a Patient; the others are Observations."""


def bench_resources(count: int, seed: int = 1) -> Iterator[Json]:
    """Give so many Patients and Observations.

    One patient in a hundred is heavy and owns about a third of the Observations; some have several identifiers, names
    and codings, some Observations a Period or no date at all. They claim no profile.
    """
    rng = Random(f"bench {seed}")  # noqa: S311 - repeatable on purpose
    patients = max(1, count // _SHARE)
    heavy = max(1, patients // 100)
    for number in range(min(patients, count)):
        yield _patient(number, rng)
    for number in range(count - patients):
        owner = rng.randrange(heavy if rng.random() < 0.33 else patients)
        yield _observation(number, owner, rng)


def _patient(number: int, rng: Random) -> Json:
    woman = rng.random() < 0.5
    names = [
        {"family": rng.choice(FAMILY), "given": [rng.choice(FEMALE if woman else MALE) for _ in range(1 + number % 2)]}
        for _ in range(2 if rng.random() < 0.2 else 1)
    ]
    body: Json = {
        "resourceType": "Patient",
        "id": f"bench-{number}",
        "identifier": [
            identifier(local(kind), f"{number:08d}") for kind in ("mrn", "member", "visit")[: rng.randint(1, 3)]
        ],
        "name": names,
        "gender": "female" if woman else "male",
    }
    if rng.random() < 0.95:
        body["birthDate"] = f"{rng.randint(1930, 2020)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return body


def _observation(number: int, owner: int, rng: Random) -> Json:
    code, category, unit, mean, spread = _CODES[int(rng.random() * len(_CODES))]
    codings = [{"system": LOINC, "code": code}]
    if rng.random() < 0.25:
        codings.append({"system": SNOMED, "code": str(360_000_000 + number % 997)})
    body: Json = {
        "resourceType": "Observation",
        "id": f"bench-{number}",
        "status": "final" if rng.random() < 0.97 else "amended",
        "category": [{"coding": [{"system": TERMINOLOGY + "observation-category", "code": category}]}],
        "code": {"coding": codings},
        "subject": {"reference": f"Patient/bench-{owner}"},
        "valueQuantity": {
            "value": round(mean + spread * (rng.random() + rng.random() + rng.random() - 1.5), 1),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }
    start = _START + timedelta(minutes=int(rng.random() * _MINUTES))
    shape = rng.random()
    if shape < 0.85:
        body["effectiveDateTime"] = start.isoformat() + "Z"
    elif shape < 0.97:
        end = start + timedelta(hours=1 + number % 48)
        body["effectivePeriod"] = {"start": start.isoformat() + "Z", "end": end.isoformat() + "Z"}
    return body
