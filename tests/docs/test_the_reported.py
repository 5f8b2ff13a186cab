"""docs/reference/scenarios.md says what the tests of tests/scenarios show, about every report of the list."""

from __future__ import annotations

from pathlib import Path

from docs.test_the_tour import tool

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_scenarios_are_those_of_the_tests() -> None:
    assert tool("reported").main(["--check"]) == 0


def test_every_report_has_a_scenario_or_a_pointer_elsewhere() -> None:
    text = (ROOT / "docs" / "reference" / "scenarios.md").read_text(encoding="utf-8")
    listed = {line.split(" ")[1] for line in text.splitlines() if line.startswith("| ")}
    wanted = (
        {f"T{number}" for number in range(1, 33)}
        | {f"M{number}" for number in range(1, 10)}
        | {f"W{number}" for number in range(1, 31)}
    )
    assert {number for number in wanted - listed if f"**{number}**" not in text} == set()
