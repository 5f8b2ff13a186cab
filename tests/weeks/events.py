"""What may happen to the machine, its services and its keys, and for how long a turn may still be refused
after it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from weeks.machine import Machine
from weeks.services import Trouble

_NOTHING, _RATE, _LIST, _REST, _AUTH = 0.0, 40.0, 900.0, 125.0, 1_800.0
_TRANSIENT = dict.fromkeys(("down", "slow", "unavailable", "gateway"), _NOTHING)
_OF_A_MODEL = {**_TRANSIENT, "throttled": _RATE, "refuses": _AUTH, "portal": _NOTHING}
_OF_TOKENS = dict.fromkeys(
    ("down", "slow", "unavailable", "gateway", "throttled", "confused", "portal"), _REST
)
TROUBLES: dict[str, dict[str, float]] = {
    **dict.fromkeys(("corp.example", "load.example", "tool.example", "pool.example"), _OF_A_MODEL),
    # A value of a file that was refused before it ever worked is not asked again: the next one is.
    "file.example": {**_OF_A_MODEL, "refuses": 3_700.0},
    "lite.example": dict.fromkeys((*_TRANSIENT, "throttled"), _LIST),
    **dict.fromkeys(("login.example", "sts.example"), _OF_TOKENS),
    "program": {"down": _REST},
    "platform": {"down": _REST},
    "disk": {"down": _NOTHING},
}
"""The troubles that a host may have, with the seconds for which its keys may rest after them."""
_LENGTHS = (3.0, 20.0, 90.0, 600.0, 3_600.0, 6 * 3_600.0)
_JUMPS = (-86_400.0, -3_600.0, -600.0, 600.0, 1_800.0, 3_600.0, 86_400.0, 365 * 86_400.0)
_HOLIDAYS = (86_400.0, 3 * 86_400.0)


def _trouble(machine: Machine, jitter: Random) -> None:
    host = jitter.choice(sorted(TROUBLES))
    kind = jitter.choice(sorted(TROUBLES[host]))
    if machine.is_well(host):
        _begins(machine, host, kind, jitter.choice(_LENGTHS), TROUBLES[host][kind])


def _begins(machine: Machine, host: str, kind: str, seconds: float, after: float) -> None:
    machine.services.trouble[host] = Trouble(kind, machine.clock.true + seconds, after)
    machine.log.append(f"{machine.when()} {host} {kind} for {seconds:.0f} s")


def _clock_is_set(machine: Machine, jitter: Random) -> None:
    machine.clock.ahead = jitter.choice(_JUMPS)
    machine.log.append(f"{machine.when()} is the clock's time")


def _clock_is_put_right(machine: Machine, _: Random) -> None:
    machine.clock.ahead = 0.0
    machine.log.append(f"{machine.when()} is right")


def _sleeps(machine: Machine, jitter: Random) -> None:
    machine.rest(jitter.choice(_HOLIDAYS))


def _ends(machine: Machine, jitter: Random) -> None:
    machine.stop(jitter.choice("ab"))


def _is_killed(machine: Machine, jitter: Random) -> None:
    machine.kill(jitter.choice("ab"))


def _answer_is_lost(machine: Machine, _: Random) -> None:
    machine.services.sign_ins.loses = 1


def _backup(machine: Machine, _: Random) -> None:
    machine.back_up()


def _restored(machine: Machine, jitter: Random) -> None:
    machine.restore(jitter.choice(("state.db", "secrets.toml")))


def _models_are_withdrawn(machine: Machine, jitter: Random) -> None:
    if machine.is_well("admin"):
        machine.services.proxy.models.pop("claude-sonnet-4-5", None)
        _begins(machine, "admin", "withdraws a model", jitter.choice(_LENGTHS), 4_500.0)


def _key_is_deleted(machine: Machine, _: Random) -> None:
    if machine.is_well("admin"):
        machine.services.proxy.keys.clear()


def _key_is_blocked(machine: Machine, jitter: Random) -> None:
    if machine.is_well("admin"):
        for key in machine.services.proxy.keys.values():
            key.blocked = True
        _begins(machine, "admin", "blocks the key", jitter.choice(_LENGTHS), _AUTH + _REST)


def _budget_is_spent(machine: Machine, jitter: Random) -> None:
    if machine.is_well("admin"):
        for key in machine.services.proxy.keys.values():
            key.budget = key.spent
        _begins(machine, "admin", "raises no budget", jitter.choice(_LENGTHS), 3_600.0)


EVENTS: tuple[tuple[int, Callable[[Machine, Random], None]], ...] = (
    (20, _trouble),
    (4, _clock_is_set),
    (8, _clock_is_put_right),
    (1, _sleeps),
    (6, _ends),
    (4, _is_killed),
    (2, _answer_is_lost),
    (2, _backup),
    (1, _restored),
    (1, _models_are_withdrawn),
    (1, _key_is_deleted),
    (2, _key_is_blocked),
    (2, _budget_is_spent),
)
"""What may happen, and how often one happens among the others."""


def happens(machine: Machine, jitter: Random) -> None:
    """One event."""
    ((_, event),) = jitter.choices(EVENTS, [weight for weight, _ in EVENTS])
    event(machine, jitter)
