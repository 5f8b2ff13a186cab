"""Settings of the user's own that would win over what `connect` writes: in the files that the program reads
beside the one that is edited, and in the environment.

Each program has its table (`Harness.settings`): where its settings are, of which the last that says something
wins, and what of them is in the way, with the reason. One in a file that always counts is refused. One that
counts only in this project or this shell is told."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .._files import NotRead, read_regular
from ..core.errors import CannotHandOver
from . import jsonc

_LARGEST = 5_000_000  # bytes
Setting = tuple[str, ...]
Value = Any


class Scope(StrEnum):
    """The reach of settings: every start of the program, those in this project, those by this shell."""

    ALWAYS = "always"
    PROJECT = "project"
    SHELL = "shell"


class Effect(StrEnum):
    """The consequence of a setting that is in the way: the connection would not work, or only in part."""

    REFUSE = "refuse"
    TELL = "tell"


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one file, or of a shell's variables (`path` None)."""

    scope: Scope
    path: Path | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Ours:
    """The file that `connect` edits, the settings that it writes there, the gateway's host, and the pin that
    the program begins with ("" for none)."""

    path: Path
    members: tuple[Setting, ...]
    host: str
    pin: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Return the names of our entries among the program's providers."""
        return frozenset(member[1] for member in self.members if len(member) > 1)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything else that a rule may look at: what we would write, and the other settings in force."""

    ours: Ours
    layers: Sequence[Layer]

    def value(self, setting: Setting) -> Value:
        """Return the value of a setting in force; None for none."""
        values = (_value(layer.values, setting) for layer in reversed(self.layers))
        return next((value for value in values if value is not None), None)


Holds = Callable[[Value, Context], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A setting that can be in the way: its effect, what it does, and for which of its values (`holds`).
    `fix` is what to do instead of removing it; NAMES in it are those of our entries, HOST is the gateway's.
    With `merged`, the program joins it with ours wherever it stands, so that every file counts."""

    setting: Setting
    effect: Effect
    why: str
    holds: Holds
    fix: str = ""
    merged: bool = False


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """The places of a program's settings, from the weakest to the strongest, and what can be in the way.
    `layers` takes the variables of the environment and the working directory."""

    layers: Callable[[Mapping[str, str], Path], Iterable[Layer]]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class InTheWay:
    """A setting that is in the way, the sentence about it, and its file (None: a variable of this shell)."""

    effect: Effect
    text: str
    path: Path | None


def in_the_way(own: OwnSettings, ours: Ours, environ: Mapping[str, str], working: Path) -> list[InTheWay]:
    """Return the settings that would win over ours, each with its place and what it does."""
    context = Context(ours, [*own.layers(environ, working)])
    effective = ((rule, _effective(rule, context)) for rule in own.rules)
    return [_about(rule, layer, ours) for rule, layer in effective if layer is not None]


def refuse(name: str, title: str, ways: Sequence[InTheWay]) -> None:
    """Raise CannotHandOver where a setting would make the connection useless."""
    reasons = [way.text for way in ways if way.effect is Effect.REFUSE]
    if reasons:
        raise CannotHandOver(
            f"your own settings would keep {title} from using the gateway; nothing was changed",
            details=reasons,
            next_step=f"holdfast connect {name}   (afterwards; holdfast run {name} needs no change there)",
        )


def _effective(rule: Rule, context: Context) -> Layer | None:
    """Return the layer whose value of a rule's setting is in the way."""
    for layer in _judged(rule, context):
        value = _value(layer.values, rule.setting)
        if value is None:
            continue
        if rule.holds(value, context):
            return layer
        if not rule.merged:
            return None
    return None


def _judged(rule: Rule, context: Context) -> Iterator[Layer]:
    """Yield the layers in which a setting counts, the strongest first: those above ours where `connect` sets
    it itself; in the edited file an entry of ours is no one else's."""
    writes = any(rule.setting == member[: len(rule.setting)] for member in context.ours.members)
    for layer in reversed(context.layers):
        edited = layer.path == context.ours.path
        if not (edited and writes):
            yield layer
        elif not rule.merged:
            return


def _about(rule: Rule, layer: Layer, ours: Ours) -> InTheWay:
    """Return the sentence about a setting; one that counts only here and now is no reason to refuse."""
    fix = rule.fix.replace("NAMES", " and ".join(sorted(ours.names))).replace("HOST", ours.host)
    effect, where, name = rule.effect, str(layer.path), ".".join(rule.setting)
    if layer.scope is not Scope.ALWAYS:
        effect = Effect.TELL
    instead = "remove it there"
    if layer.path is None:
        where, name = "this shell", rule.setting[-1]
        instead = f"unset {name}"
    return InTheWay(effect, f"{where} sets {name}: {rule.why}   ({fix or instead})", layer.path)


def _value(values: Value, setting: Setting) -> Value:
    for name in setting:
        if not isinstance(values, Mapping):
            return None
        values = values.get(name)
    return values


# --- reading, for the tables ---


def of_json(scope: Scope, path: Path) -> Layer:
    """Return the settings of a JSON file; none where it is missing or cannot be read as such."""
    value: Value = None
    with suppress(OSError, NotRead, UnicodeDecodeError, jsonc.MalformedJsonc):
        value = jsonc.parse(read_regular(path, _LARGEST).decode("utf-8"))
    return Layer(scope, path, _table(value))


def of_toml(scope: Scope, path: Path) -> Layer:
    """Return the settings of a TOML file; none where it is missing or cannot be read as such."""
    value: Value = None
    with suppress(OSError, NotRead, UnicodeDecodeError, tomllib.TOMLDecodeError):
        value = tomllib.loads(read_regular(path, _LARGEST).decode("utf-8-sig"))
    return Layer(scope, path, _table(value))


def of_json_variable(environ: Mapping[str, str], name: str) -> Layer:
    """Return the settings of a variable that holds JSON, under its name too; none where it does not."""
    value: Value = None
    with suppress(ValueError):
        value = json.loads(environ.get(name, ""))
    return Layer(Scope.SHELL, None, _table(value))


def home_of(environ: Mapping[str, str]) -> Path:
    """Return the user's home directory."""
    return Path(environ.get("HOME", "~")).expanduser()


def is_given(value: Value, _: Context) -> bool:
    """Return whether a setting has a value that is not empty."""
    return value not in ("", None, False, [], {})


def _table(value: Value) -> Mapping[str, Value]:
    if isinstance(value, dict):
        return value
    return {}
