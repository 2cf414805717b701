from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bench.rounds import Row, Target, compare, report, take


def recording(log: list[str], name: str) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        log.append(name)
        return float(len(log))

    return sample


async def test_samples_alternate_and_the_first_round_only_warms_up() -> None:
    log: list[str] = []
    taken = await take({"a": recording(log, "a"), "b": recording(log, "b")}, rounds=3)
    assert log == ["a", "b"] * 4
    assert taken == {"a": (3.0, 5.0, 7.0), "b": (4.0, 6.0, 8.0)}


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_medians() -> None:
    row = compare("reads", "/s", (10, 40, 100), "hello", (100, 100, 200))
    assert (row.value, row.baseline, row.ratio) == (40, 100, 0.4)
    drifting = compare("reads", "/s", (10, 20, 90), "hello", (20, 80, 90))
    assert drifting.ratio == 0.5
    assert drifting.value / (drifting.baseline or 1) == 0.25


def test_samples_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare("reads", "/s", (1, 2), "hello", (1,))


@pytest.mark.parametrize(
    ("target", "ratio", "met"),
    [
        (Target(kind="at least", ratio=0.4), 0.4, True),
        (Target(kind="at least", ratio=0.4), 0.39, False),
        (Target(kind="at most", ratio=1.5), 1.5, True),
        (Target(kind="at most", ratio=1.5), 1.51, False),
    ],
)
def test_a_target_includes_its_bound(target: Target, ratio: float, met: bool) -> None:
    assert target.met(ratio) is met
    assert compare("x", "", (ratio,), "one", (1.0,), target).ok is met


def test_without_a_target_nothing_is_judged() -> None:
    row = report("p50", "ms", (3.0, 1.0, 2.0))
    assert row == Row(measure="p50", unit="ms", value=2.0, samples=(3.0, 1.0, 2.0))
    assert row.ok is None
