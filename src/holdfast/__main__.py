"""Runs the command line: `python -m holdfast` is the same as `holdfast`."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
