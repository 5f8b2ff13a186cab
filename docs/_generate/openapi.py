"""Write docs/reference/openapi.json: the description of the gateway that it serves as /holdfast/openapi.json.

python docs/_generate/openapi.py --write     bring the document up to date
python docs/_generate/openapi.py --check     exit 1 if it is not
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from holdfast import distribution
from holdfast.gateway.admin import openapi

TARGET = Path(__file__).parents[1] / "reference" / "openapi.json"


def main(arguments: list[str]) -> int:
    """Run as a program. Return the exit code."""
    if arguments not in (["--write"], ["--check"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    text = json.dumps(openapi.document(distribution.version()), indent=1, ensure_ascii=False) + "\n"
    if arguments == ["--write"]:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text("utf-8") != text:
        sys.stderr.write(f"{TARGET.name} is out of date: python docs/_generate/openapi.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
