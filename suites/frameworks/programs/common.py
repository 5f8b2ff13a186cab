"""What each framework's program has in common: its situations, and how they are reported.

A situation is a provider in the home, with two keys of its own; the scripted provider knows it by the key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import holdfast

QUESTION = "Is all well?"
CITY = "Kraków"
GATEWAY = os.environ.get("GATEWAY", "")
"""The gateway's base URL without the version, for what the library cannot reach."""
TOKEN = os.environ.get("TOKEN", "")

Ask = Callable[[holdfast.Session], Any]


def play(plain: Ask, stream: Ask, tools: Ask, later: Ask | None = None) -> None:
    """Ask in every situation; write what came of each to the file REPORT as JSON. `later` asks on an event
    loop."""
    asked: list[tuple[str, Ask]] = [("plain", plain), ("stream", stream), ("tools", tools)]
    if later is not None:
        asked.append(("later", later))
    asked += [("passing_401", plain), ("passing_401", plain), ("rotation", plain), ("throttled", plain)]
    report: dict[str, Any] = {}
    with holdfast.open() as hf:
        for name, ask in asked:
            report[name] = _outcome(ask, hf.session(name, f"{name}/scripted-model"))
    Path(os.environ["REPORT"]).write_text(json.dumps(report), "utf-8")


def _outcome(ask: Ask, session: holdfast.Session) -> Any:
    try:
        return ask(session)
    except Exception as error:  # noqa: BLE001 - each framework has its own
        return {"error": type(error).__name__, "message": str(error)[-2000:]}
