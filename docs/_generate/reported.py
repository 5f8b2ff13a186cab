"""Write the tables of docs/reference/scenarios.md from the tests of tests/scenarios: what a row says, a test
shows.

python docs/_generate/reported.py --write    bring the document up to date
python docs/_generate/reported.py --check    exit 1 if it is not
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT)]

DOCUMENT = ROOT / "docs" / "reference" / "scenarios.md"
BLOCK = re.compile(r"(<!-- generated: (\w) -->\n).*?(<!-- end -->)", re.DOTALL)


def scenarios() -> Iterator[tuple[str, str, Any]]:
    """Every scenario with its test's file and name, in the order in which they stand there."""
    for path in sorted((ROOT / "tests" / "scenarios").glob("test_*.py")):
        module = importlib.import_module(f"scenarios.{path.stem}")
        for name, test in vars(module).items():
            if hasattr(test, "scenario"):
                yield path.stem, name, test.scenario


def link(issue: str) -> str:
    """A public issue; only its number where the program is Hermes."""
    owner, _, number = issue.partition("#")
    shown = f"#{number}" if owner == "NousResearch/hermes-agent" else issue.partition("/")[2]
    return f"[{shown}](https://github.com/{owner}/issues/{number})"


def rows(kind: str) -> str:
    """The table of one kind of scenarios: T, M or W."""
    entries = [
        (number, row, file, name)
        for file, name, row in scenarios()
        for number in row.ids
        if number.startswith(kind)
    ]
    lines = ["| id | reported | elsewhere | here | told by |", "|---|---|---|---|---|"]
    for number, row, file, name in sorted(entries, key=lambda entry: int(entry[0][1:])):
        only = f" ({row.faces[0]} only)" if len(row.faces) == 1 else ""
        issues = " ".join(map(link, row.issues)) or "measured"
        lines.append(f"| {number} | {issues} | {row.elsewhere} | {row.here} | `{file}.py` `{name}`{only} |")
    return "\n".join(lines) + "\n"


def generated(text: str) -> str:
    """The document with its tables as the tests have them."""
    return BLOCK.sub(lambda match: f"{match[1]}{rows(match[2])}{match[3]}", text)


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    after = generated(before)
    if arguments == ["--write"]:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif after != before:
        sys.stderr.write(
            "docs/reference/scenarios.md is out of date; run: python docs/_generate/reported.py --write\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
