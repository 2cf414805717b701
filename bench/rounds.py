"""Samples taken in turn: what is compared alternates, so that a noisy minute hits both sides alike."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["ROUNDS", "Row", "Target", "compare", "report", "take"]

ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a ratio has to reach, or not to exceed."""

    kind: Literal["at least", "at most"]
    ratio: float

    def met(self, ratio: float) -> bool:
        """Say whether a ratio meets it."""
        return ratio >= self.ratio if self.kind == "at least" else ratio <= self.ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `value` and `baseline` are medians, `ratio` is the median of the rounds' own ratios."""

    measure: str
    unit: str
    value: float
    baseline: float | None = None
    against: str = ""
    ratio: float | None = None
    target: Target | None = None
    samples: tuple[float, ...] = ()
    baseline_samples: tuple[float, ...] = ()

    @property
    def ok(self) -> bool | None:
        """Say whether the target is met; None where there is none."""
        return None if self.target is None or self.ratio is None else self.target.met(self.ratio)


async def take(
    samples: Mapping[str, Callable[[], Awaitable[float]]], *, rounds: int = ROUNDS
) -> dict[str, tuple[float, ...]]:
    """Take every sample once a round, in order, after one unrecorded round that warms up."""
    taken: dict[str, list[float]] = {name: [] for name in samples}
    for turn in range(rounds + 1):
        for name, sample in samples.items():
            value = await sample()
            if turn:
                taken[name].append(value)
    return {name: tuple(values) for name, values in taken.items()}


def report(measure: str, unit: str, samples: tuple[float, ...]) -> Row:
    """Report a measure on its own."""
    return Row(measure=measure, unit=unit, value=statistics.median(samples), samples=samples)


def compare(
    measure: str,
    unit: str,
    samples: tuple[float, ...],
    against: str,
    baseline: tuple[float, ...],
    target: Target | None = None,
) -> Row:
    """Report a measure as a ratio to its baseline, round by round."""
    ratios = [value / base for value, base in zip(samples, baseline, strict=True)]
    return Row(
        measure=measure,
        unit=unit,
        value=statistics.median(samples),
        baseline=statistics.median(baseline),
        against=against,
        ratio=statistics.median(ratios),
        target=target,
        samples=samples,
        baseline_samples=baseline,
    )
