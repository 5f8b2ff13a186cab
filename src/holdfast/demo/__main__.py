"""`python -m holdfast.demo`, for a library that was installed without the command line's packages."""

from __future__ import annotations

import argparse
import sys

from . import main

parser = argparse.ArgumentParser(
    prog="python -m holdfast.demo", description="Show the five stories live, without key or network."
)
parser.add_argument("--json", action="store_true", help="print one JSON document instead")
parser.add_argument(
    "--program",
    choices=("openai", "httpx2"),
    help="the client to use (default: openai if installed)",
)
options = parser.parse_args()
sys.exit(main(options.json, options.program))
