"""The quality of the classifier on the recorded answers: precision and recall by class, confusions, and the
figure that matters most: how often a key would be blamed or rotated without reason.

Run `python -m bench.classify [FILE …] [--observed]`.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from holdfast.core.classify import classify
from holdfast.engine.classify_lines import reply_of
from holdfast.providers import profiles

DATA = Path(__file__).parents[1] / "tests" / "replies" / "replies.jsonl"
BLAMES = frozenset(
    {"auth_rejected", "auth_expired", "quota_exhausted", "quota_window", "rate_limited", "not_entitled"}
)
INNOCENT = frozenset(
    {
        "provider_unavailable",
        "transient",
        "endpoint_mismatch",
        "bad_request",
        "context_overflow",
        "content_blocked",
        "model_unavailable",
        "blocked",
    }
)
NOW = 1_794_900_000.0


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """Return the class that each row gets."""
    return [str(classify(reply_of(row), profiles.load(row["provider"]), now=NOW).kind) for row in rows]


def report(rows: list[dict[str, Any]]) -> str:
    """Return the whole report as text."""
    got = verdicts(rows)
    wanted = [row["expected_class"] for row in rows]
    pairs = Counter(zip(wanted, got, strict=True))
    right = sum(count for (want, have), count in pairs.items() if want == have)
    lines = [
        f"{len(rows)} answers, {right} right ({100 * right / len(rows):.1f} %)",
        "",
        f"{'class':22}{'cases':>6}{'precision':>11}{'recall':>8}",
    ]
    for name in sorted(set(wanted) | set(got)):
        correct, meant = pairs[name, name], wanted.count(name)
        precision, recall = _percent(correct, got.count(name)), _percent(correct, meant)
        lines.append(f"{name:22}{meant:>6}{precision:>10.0f}%{recall:>7.0f}%")
    innocent = sum(want in INNOCENT for want in wanted)
    blamed = sum(count for (want, have), count in pairs.items() if want in INNOCENT and have in BLAMES)
    lines += ["", f"innocent keys blamed or rotated: {blamed} of {innocent}", ""]
    lines += [
        f"  {row['provider']}/{row['case']}: {want} read as {have}"
        for row, want, have in zip(rows, wanted, got, strict=True)
        if want != have
    ]
    return "\n".join(lines)


def _percent(part: int, whole: int) -> float:
    return 100 * part / max(1, whole)


def cost(rows: list[dict[str, Any]]) -> float:
    """Return the milliseconds of CPU time that one answer takes."""
    work = [(reply_of(row), profiles.load(row["provider"])) for row in rows]
    began = time.process_time()
    for _ in range(5):
        for reply, profile in work:
            classify(reply, profile, now=NOW)
    return (time.process_time() - began) * 1_000 / (5 * len(work))


def main(arguments: list[str]) -> None:
    """Report on files of cases; `--observed` leaves out those that come from documentation or inference."""
    files = [Path(argument) for argument in arguments if not argument.startswith("--")] or [DATA]
    rows = [
        json.loads(line) for file in files for line in file.read_text("utf-8").splitlines() if line.strip()
    ]
    if "--observed" in arguments:
        rows = [row for row in rows if row["observed"]]
    print(report(rows))
    print(f"{cost(rows):.3f} ms an answer")


if __name__ == "__main__":
    main(sys.argv[1:])
