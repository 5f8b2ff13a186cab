"""The suite's modules import each other by name; real frameworks take their time."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
