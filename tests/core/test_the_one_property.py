"""The main property of the core: every request goes only where its session may send it.

For any script of answers, switches, restarts and edits, each request that leaves has an (origin, key, model,
dialect) that the session's pin, or one of its fallbacks, permits at that instant.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.life import born, step

STEPS = int(os.environ.get("STEPS", "3000"))
"""How many events the long lives have in all; `make nightly` runs 100,000."""
LIVES = 10


@settings(max_examples=3 * settings.default.max_examples)
@given(st.randoms(use_true_random=False), st.integers(3, 25))
def test_every_request_that_leaves_is_permitted_by_the_users_own_words(jitter: Random, events: int) -> None:
    life = born(jitter)
    for _ in range(events):
        step(life, jitter)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(LIVES))
def test_a_long_life_has_no_request_that_its_user_did_not_permit(seed: int) -> None:
    jitter, sends = Random(seed), 0
    events = STEPS // LIVES
    while events > 0:
        life = born(jitter)
        for _ in range(min(events, 200)):
            step(life, jitter)
        events, sends = events - 200, sends + life.sends
    assert sends > STEPS // LIVES // 8, "a life in which little is sent proves little"
