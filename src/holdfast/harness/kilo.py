"""Kilo Code CLI, which is made of opencode: the same configuration in one variable, under its own beginning.

What it would tell its maker is off: sessions, telemetry, presence. So is its daemon, which would serve a
later run with the environment of an earlier one."""

from __future__ import annotations

from functools import partial

from . import opencode, opencode_settings
from .base import Handover, Harness, LaunchRequest

_SWITCHES = {
    "KILO_DISABLE_PRESENCE": "1",
    "KILO_DISABLE_SESSION_INGEST": "1",
    "KILO_DISABLE_SHARE": "1",
    "KILO_NO_DAEMON": "1",
    "KILO_TELEMETRY_LEVEL": "off",
}


def _plan(request: LaunchRequest) -> Handover:
    return opencode.plan_of(request, "kilo", _SWITCHES)


HARNESS = Harness(
    name="kilo",
    title="Kilo Code CLI",
    executable="kilo",
    install="npm install -g @kilocode/cli",
    speaks=opencode.HARNESS.speaks,
    plan=_plan,
    tested="7.7.9",
    shows=opencode.HARNESS.shows,
    chooses=opencode.HARNESS.chooses,
    attach=partial(opencode.attach, program="kilo", names=("kilo.jsonc", "kilo.json")),
    settings=opencode_settings.settings_of(
        "kilo", ("kilo.json", "kilo.jsonc", "opencode.json", "opencode.jsonc"), (".kilocode", ".kilo")
    ),
)
