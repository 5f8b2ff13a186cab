"""Write the table of docs/reference/coding-agents.md from the plans in src/holdfast/harness.

python docs/_generate/agents.py --write     bring the page up to date
python docs/_generate/agents.py --check     exit 1 if it is not
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from holdfast.harness import HARNESSES
from holdfast.harness.base import Harness

DOCUMENT = Path(__file__).parents[1] / "reference" / "coding-agents.md"
BLOCK = re.compile(r"(<!-- generated: agents -->\n).*(<!-- end -->)", re.DOTALL)
HEAD = "| name | program | API | tested version | `connect` |\n|---|---|---|---|---|\n"


def row(harness: Harness) -> str:
    """Return one row of the table."""
    speaks = ", ".join(harness.speaks) or harness.wire
    connect = "yes" if harness.attach else "no"
    return f"| `{harness.name}` | {harness.title} | {speaks} | {tested(harness)} | {connect} |\n"


def tested(harness: Harness) -> str:
    """Return the version that was driven, or why there is none."""
    if harness.no_plan:
        return f"not supported: {harness.no_plan}"
    return harness.tested or "none: written from its documentation"


def generated(text: str) -> str:
    """Return the page with the table as the plans are today."""
    rows = "".join(map(row, HARNESSES.values()))
    return BLOCK.sub(lambda match: f"{match[1]}{HEAD}{rows}{match[2]}", text)


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    after = generated(before)
    if arguments == ["--write"]:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif after != before:
        sys.stderr.write(f"{DOCUMENT.name} is out of date; run: python docs/_generate/agents.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
