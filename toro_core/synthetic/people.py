"""Who a patient is: ten kinds of life taken in turn, so that any ten patients in a row show every part of a record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from toro_core.synthetic.chart import Person
from toro_core.synthetic.names import CITIES, FAMILY, FEMALE, MALE
from toro_core.synthetic.staff import GENERALISTS, PAYERS, PEDIATRICIANS

__all__ = ["person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Life:
    """A kind of life: sex where it matters, days of age, problems of long standing and traits."""

    days: tuple[int, int]
    sex: str | None = None
    problems: tuple[str, ...] = ()
    traits: frozenset[str] = frozenset()


def _years(youngest: int, oldest: int) -> tuple[int, int]:
    return youngest * 365 + 200, oldest * 365 + 200


_LIVES = (
    _Life(days=_years(27, 38), sex="female", problems=("asthma",), traits=frozenset({"pregnant", "renamed"})),
    _Life(days=(250, 620)),
    _Life(
        days=_years(48, 64),
        sex="male",
        problems=("hypertension", "diabetes", "lipids"),
        traits=frozenset({"biopsy", "suffix"}),
    ),
    _Life(days=_years(6, 11), problems=("asthma",)),
    _Life(
        days=_years(66, 82),
        problems=("hypertension", "heart failure", "heart block"),
        traits=frozenset({"admitted", "paced", "oxygen"}),
    ),
    _Life(days=_years(13, 17)),
    _Life(
        days=_years(40, 60),
        sex="female",
        problems=("hypothyroidism", "depression"),
        traits=frozenset({"in need", "moved"}),
    ),
    _Life(
        days=_years(75, 90),
        problems=("hypertension", "heart failure", "diabetes"),
        traits=frozenset({"admitted", "oxygen", "deceased"}),
    ),
    _Life(days=_years(25, 40), sex="male", traits=frozenset({"injured", "tribal"})),
    _Life(days=_years(30, 60), problems=("hypertension",), traits=frozenset({"gaps"})),
)


def person(number: int, seed: int, anchor: date, rng: Random) -> Person:
    """Make up the patient of this number."""
    life = _LIVES[number % len(_LIVES)]
    sex = life.sex or rng.choice(("female", "male"))
    born = anchor - timedelta(days=rng.randint(*life.days))
    died = anchor - timedelta(days=rng.randint(30, 120)) if "deceased" in life.traits else None
    doctors = PEDIATRICIANS if life.days[1] < 18 * 365 else GENERALISTS
    return Person(
        number=number,
        id=f"synthetic-{seed}-{number + 1:04d}",
        sex=sex,
        given=rng.choice(FEMALE if sex == "female" else MALE),
        family=rng.choice(FAMILY),
        city=rng.choice(CITIES),
        born=born,
        died=died,
        until=died or anchor,
        problems=life.problems,
        traits=life.traits,
        frame=round(rng.uniform(0.93, 1.08), 3),
        doctor=rng.choice(doctors),
        payer=rng.choice(PAYERS),
    )
