"""`python -m holdfast.demo`, for a library that was installed without the command line's packages."""

from __future__ import annotations

import argparse
import sys

from . import main

parser = argparse.ArgumentParser(
    prog="python -m holdfast.demo", description="The five stories, told live without key or network."
)
parser.add_argument("--json", action="store_true", help="print one JSON document instead")
parser.add_argument(
    "--program",
    choices=("openai", "httpx2"),
    help="who speaks to the providers (default: openai if installed)",
)
options = parser.parse_args()
sys.exit(main(options.json, options.program))
