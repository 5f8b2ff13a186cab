"""docs/guides/first-hour.md shows what the commands print, and needs few of them."""

from __future__ import annotations

import re
from pathlib import Path

from docs.test_the_tour import ROOT, blocks, tool

PAGE = ROOT / "docs" / "guides" / "first-hour.md"


def test_the_first_hour_prints_what_the_commands_print(tmp_path: Path) -> None:
    first_hour = tool("first_hour")
    text = PAGE.read_text("utf-8")
    assert first_hour.steady(first_hour.played(text, tmp_path)) == first_hour.steady(text)


def test_three_commands_lead_from_a_clone_to_a_running_agent_and_two_in_one_line() -> None:
    first_hour = tool("first_hour")
    played = [
        command
        for _, commands in first_hour.blocks(PAGE.read_text("utf-8"))
        for command in commands
        if not command.startswith("export ")
    ]
    (installed,) = blocks("docs/guides/first-hour.md", "sh")
    assert len(installed.splitlines()) == 1
    assert played[0].startswith("holdfast setup ")
    assert played[1].startswith("holdfast run claude --pin ")
    one_line = [command for command in played if command.startswith("holdfast run claude --url ")]
    assert [command.count("--key env:") for command in one_line] == [2]


def test_only_what_differs_from_run_to_run_may_differ_on_the_page() -> None:
    steady = tool("first_hour").steady
    same = "session claude@project-{}, 0.{} s, {} requests, {} attempts: x answered {}; translated"
    assert steady(same.format("0f0f0f0f", 1, 1, 2, 1)) == steady(same.format("1a2b3c4d", 2, 3, 4, 3))
    for lie in (
        "with key 'ACME_KEY' answered 1; less: user",
        "with key 'ACME_SPARE' answered 1; less: tools",
    ):
        assert steady(lie) != steady("with key 'ACME_SPARE' answered 1; less: user")


def test_what_stopped_people_is_held_by_tests_that_exist() -> None:
    page = (ROOT / "design" / "015-the-first-hour.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`" in line]
    for row in rows:
        named = re.findall(r"`((?:tests|suites)/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"
