from __future__ import annotations

import json

from bench.rounds import Target, compare, report
from bench.table import as_json, as_table

ROWS = (
    compare("read", "/s", (12_345.6,), "hello world", (30_000.0,), Target(kind="at least", ratio=0.4)),
    compare("token", "µs", (0.5,), "ES384", (500.0,), Target(kind="at most", ratio=0.01)),
    report("p50", "ms", (0.123456,)),
)


def test_the_table_shows_value_baseline_ratio_target_and_verdict() -> None:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in as_table(ROWS).splitlines()]
    assert cells[0] == ["measure", "value", "baseline", "ratio", "target", "ok"]
    assert set("".join(cells[1])) == {"-"}
    assert cells[2:] == [
        ["read", "12,346 /s", "30,000 (hello world)", "0.412", "≥ 0.4", "yes"],
        ["token", "0.500 µs", "500 (ES384)", "0.00100", "≤ 0.01", "yes"],
        ["p50", "0.123 ms", "", "", "", ""],
    ]


def test_a_missed_target_stands_out() -> None:
    missed = compare("read", "/s", (1.0,), "hello", (10.0,), Target(kind="at least", ratio=0.4))
    assert as_table([missed]).splitlines()[-1].endswith("| NO |")


def test_all_lines_are_of_one_width() -> None:
    assert len({len(line) for line in as_table(ROWS).splitlines()}) == 1


def test_the_json_carries_every_sample_and_the_machine() -> None:
    found = json.loads(as_json(ROWS, full=True, resources=10_000))
    assert found["full"] is True
    assert found["resources"] == 10_000
    assert {"cpus", "python", "sqlite", "platform"} <= found.keys()
    assert [row["ok"] for row in found["rows"]] == [True, True, None]
    assert found["rows"][0]["samples"] == [12_345.6]
    assert found["rows"][0]["target"] == {"kind": "at least", "ratio": 0.4}
