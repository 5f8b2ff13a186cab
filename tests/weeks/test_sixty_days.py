"""Sixty days of a machine: its programs renew what they use, while services fail, the machine sleeps, its
clock is set, programs end and are killed, keys rotate and backups are restored. Each turn is answered, or
refused for a reason that is in the world; nothing stays stuck; what is stored stays bounded; no key goes to a
host that it was not paired with."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from holdfast.calls import clients
from weeks.events import happens
from weeks.machine import PINS, Machine

DAYS = float(os.environ.get("DAYS", "1"))
"""How long each life is; `make nightly` takes sixty days, and several lives."""
LIVES = 6 if DAYS >= 60 else 1
_NIGHT, _WORK = (1_200.0, 7_200.0, 14_400.0), (1.0, 5.0, 60.0, 300.0, 1_200.0)


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(home)
    monkeypatch.setattr(clients, "_transport", lambda url, network: machine.services)
    # Its clock stands still between two turns, so programs look at what others did each time.
    monkeypatch.setattr("holdfast.engine.following._LOOK_EVERY", 0.0)
    monkeypatch.setattr("holdfast.engine.config_watch._LOOK_EVERY", 0.0)
    return machine


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(LIVES))
def test_every_turn_of_sixty_days_is_answered_or_truly_refused(machine: Machine, seed: int) -> None:
    jitter = machine.jitter = Random(seed)
    sessions, end = [*PINS, "proxy"], machine.clock.true + DAYS * 86_400
    try:
        while machine.clock.true < end:
            works = 8 <= machine.clock.true / 3600 % 24 < 19
            machine.rest(jitter.choice(_WORK if works else _NIGHT))
            if jitter.random() < 0.15:
                happens(machine, jitter)
            machine.turn(jitter.choice("ab"), jitter.choice(sessions))
            assert machine.services.strays == [], "a key was sent to another host"
            assert machine.services.sign_ins.reused == [], "a refresh token was used twice"
            assert len(machine.services.proxy.keys) <= 1, "a key was made beside one that is there"
    finally:
        for name in "ab":
            machine.stop(name)
    turns = sum(machine.turns.values())
    assert turns > 40 * DAYS
    assert len(machine.refused) < turns / 5, "a life in which little is answered proves little"
    machine.look_at_what_is_left()
