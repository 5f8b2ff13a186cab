"""The benchmark's own arithmetic, on recorded figures: what it reads, what it makes of it, and what it says.
No figure is judged here."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from bench.gateway import budgets, load, profile, report, soak, svg
from bench.gateway.results import Results, parse
from bench.nodes import command
from bench.nodes.database import kinds

RECORDED = Path(__file__).parent / "bench.json"
LINE = (
    '{"all_requests":12,"all_chunks":0,"seconds":2.000,"ok":10,"bad":1,"errors":1,"last_status":200,'
    '"latency":{"n":10,"p50":55.5,"p90":60.0,"p99":99.0,"p999":99.0,"max":99.0},"first_byte":{"n":0},'
    '"transit":{"n":0,"p50":-1.0,"p99":-1.0}}'
)


@pytest.fixture
def results() -> Results:
    return parse(RECORDED.read_text("utf-8"))


def test_what_the_load_generator_saw_is_read_from_its_line() -> None:
    seen = load.read(LINE)
    assert (seen.requests, seen.ok, seen.bad, seen.errors, seen.p50, seen.p99, seen.transit_p50) == (
        12,
        10,
        1,
        1,
        55.5,
        99.0,
        None,
    )


def test_results_are_read_back_as_they_were_written(results: Results) -> None:
    assert parse(results.text()) == results


def test_cpu_time_is_divided_by_what_was_served(results: Results) -> None:
    run = replace(results.of("c128", "nginx")[0], cpu=2.0, requests=100_000, chunks=0)
    assert (run.per_request, run.per_chunk) == (20.0, None)


def test_a_figure_is_the_median_of_its_rounds(results: Results) -> None:
    run = results.of("c128", "nginx")[0]
    three = replace(results, runs=[replace(run, rps=rps) for rps in (30.0, 10.0, 20.0)])
    assert three.median("c128", "nginx", "rps") == 20.0


@pytest.mark.parametrize(("ours", "word"), [(2.4, "met"), (2.6, "**not met**")])
def test_a_budget_is_judged_by_the_ratio_within_the_run(results: Results, ours: float, word: str) -> None:
    nginx = results.of("c128", "nginx")[0]
    mine = replace(nginx, peer=budgets.OURS, cpu=nginx.cpu * ours)
    verdict = budgets.BUDGETS[0](replace(results, runs=[nginx, mine]))
    assert (verdict.word, verdict.result) == (word, f"{ours:.2f} ×")


def test_a_budget_against_somebody_who_was_not_measured_is_not_called_met(results: Results) -> None:
    alone = replace(results, runs=[run for run in results.runs if run.peer == budgets.OURS])
    assert [judge(alone).word for judge in budgets.BUDGETS[:6]] == ["not measured"] * 6


def test_the_page_names_every_peer_and_why_one_was_not_measured(results: Results) -> None:
    results.peers[-1].missing = "npm ended with 1:\nno network"
    page = report.page(results)
    assert all(f"| {peer.name} |" in page for peer in results.peers)
    assert "**not measured**: npm ended with 1: no network" in page
    assert f"| {results.peers[-1].name} |" not in page.split("## Who was measured")[0]


def test_the_page_shows_every_plot_that_is_drawn(results: Results) -> None:
    assert set(re.findall(r"\((gateway-\w+\.svg)\)", report.page(results))) == set(report.plots(results))


def test_a_rate_that_was_not_kept_up_is_over_the_capacity(results: Results) -> None:
    slow = [
        replace(run, rps=80.0) if run.peer == "litellm" and run.load == "r100" else run
        for run in results.runs
    ]
    row = next(
        line
        for line in report.page(replace(results, runs=slow)).splitlines()
        if line.startswith("| litellm |") and "capacity" in line
    )
    assert "over its capacity" in row


def test_nothing_is_drawn_of_what_was_not_measured(results: Results) -> None:
    assert report.plots(replace(results, runs=[])).keys() <= {"gateway-memory.svg"}


def test_plots_are_whole_drawings_within_their_bounds(results: Results) -> None:
    for name, text in report.plots(results).items():
        drawing = ET.fromstring(text)
        width, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
        places = [
            (float(shape.attrib["x"]), float(shape.attrib["y"]))
            for shape in drawing.iter()
            if "x" in shape.attrib
        ]
        assert places, name
        assert all(0 <= x <= width and 0 <= y <= height for x, y in places), name


@pytest.mark.parametrize(
    ("value", "text"), [(37_544.6, "37,545"), (26.4, "26"), (7.31, "7.3"), (0.0151, "0.015"), (10.0, "10")]
)
def test_a_figure_has_as_many_digits_as_say_something(value: float, text: str) -> None:
    assert svg.number(value) == text


def test_a_profile_counts_a_function_for_itself_and_leaves_out_who_waits() -> None:
    shares = profile.read(
        "MainThread;run (a.py);Client.answer (/x/src/holdfast/gateway/http1/server_connection.py) 6\n"
        "MainThread;run (a.py);Client.answer (/x/src/holdfast/gateway/http1/server_connection.py);dumps "
        "(/y/lib/python3.11/json/__init__.py) 2\n"
        "recorder;run (threading.py);Condition.wait (/y/lib/python3.11/threading.py) 90\n"
    )
    assert shares.total == 8
    assert shares.within["Client.answer (holdfast/gateway/http1/server_connection.py)"] == 8
    assert {file: dict(functions) for file, functions in shares.files.items()} == {
        "holdfast/gateway/http1/server_connection.py": {"Client.answer": 6},
        "json/__init__.py": {"dumps": 2},
    }


@pytest.mark.parametrize(
    ("growth", "failed", "held", "words"),
    [(0.0, 0, True, "memory is flat"), (0.1, 0, False, "memory GREW"), (0.0, 1, False, "1 failed")],
)
def test_a_soak_holds_when_nothing_failed_and_memory_is_flat(
    growth: float, failed: int, held: bool, words: str
) -> None:
    samples = [
        soak.Sample(
            30.0 * turn, 40.0 + growth * turn, 1.0, 1_000, 50, failed if turn == 7 else 0, 100.0, 900.0, 50.0
        )
        for turn in range(1, 60)
    ]
    text, verdict = soak.verdict(samples)
    assert verdict is held
    assert words in text


def test_growth_in_the_first_fifth_of_a_soak_is_warming_up() -> None:
    samples = [
        soak.Sample(float(turn), 40.0 + 5 * min(turn, 10), 1.0, 10, 0, 0, None, None, 50.0)
        for turn in range(1, 60)
    ]
    assert soak.verdict(samples)[1]


def test_a_round_in_which_somebody_else_used_the_machine_does_not_count_beside_a_quiet_one(
    results: Results,
) -> None:
    run = results.of("c128", "nginx")[0]
    noisy = replace(
        results,
        runs=[
            replace(run, rps=rps, others=others) for rps, others in ((10.0, 0.9), (20.0, 0.02), (5.0, 0.6))
        ],
    )
    assert noisy.median("c128", "nginx", "rps") == 20.0
    assert replace(noisy, runs=noisy.runs[::2]).median("c128", "nginx", "rps") == 5.0


LOG = """\
2026-11-30 LOG:  statement: WITH made AS (INSERT INTO session (id, pin)
    SELECT id FROM unnest(CAST('{a}' AS text[])) ON CONFLICT (id) DO NOTHING RETURNING id),
    noted AS (INSERT INTO journal (at) SELECT 1) SELECT id FROM made
2026-11-30 LOG:  statement: WITH soon AS MATERIALIZED (SELECT 1) INSERT INTO journal (at) SELECT 1
2026-11-30 LOG:  statement: WITH soon AS MATERIALIZED (SELECT 1) INSERT INTO usage (day) SELECT 1
2026-11-30 LOG:  statement: SELECT id, pin, chosen_key FROM session WHERE id = 'a'
2026-11-30 LOG:  statement: BEGIN; SET LOCAL lock_timeout = '5s'
2026-11-30 LOG:  statement: ALTER SYSTEM SET log_statement = 'none'
2026-11-30 ERROR:  something else
"""


def test_statements_are_counted_by_what_they_are_for() -> None:
    counted = kinds(LOG)
    assert counted == {
        "new session": 1,
        "journal": 1,
        "usage": 1,
        "look for a session": 1,
        "transaction": 1,
    }
    assert command.statements("new", 4, counted).startswith("Statements a request, new: journal 0.250, ")
