"""opencode's own settings that win over a connection; driven with 1.18.33.

It joins all its files, object by object, and the last wins: three of the user's, the one that a variable
names, those of the project and of directories above it, a variable with settings, and those of the machine's
administrator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from .own_settings import (
    Context,
    Effect,
    Layer,
    OwnSettings,
    Rule,
    Scope,
    Value,
    home_of,
    of_json,
    of_json_variable,
)

_NAMES = ("opencode.json", "opencode.jsonc")
_MANAGED = Path("/etc/opencode")


def _layers(environ: Mapping[str, str], working: Path) -> Iterator[Layer]:
    user = Path(environ.get("XDG_CONFIG_HOME") or home_of(environ) / ".config") / "opencode"
    for name in ("config.json", *_NAMES):
        yield of_json(Scope.ALWAYS, user / name)
    if environ.get("OPENCODE_CONFIG"):
        yield of_json(Scope.ALWAYS, Path(environ["OPENCODE_CONFIG"]))
    if not environ.get("OPENCODE_DISABLE_PROJECT_CONFIG"):
        for directory in reversed([working, *working.parents]):
            for name in _NAMES:
                yield of_json(Scope.PROJECT, directory / name)
                yield of_json(Scope.PROJECT, directory / ".opencode" / name)
    if environ.get("OPENCODE_CONFIG_DIR"):
        for name in _NAMES:
            yield of_json(Scope.ALWAYS, Path(environ["OPENCODE_CONFIG_DIR"]) / name)
    yield of_json_variable(environ, "OPENCODE_CONFIG_CONTENT")
    for name in _NAMES:
        yield of_json(Scope.ALWAYS, _MANAGED / name)


def _leaves_ours_out(value: Value, context: Context) -> bool:
    return isinstance(value, list) and not context.ours.names <= {*map(str, value)}


def _names_ours(value: Value, context: Context) -> bool:
    return isinstance(value, list | dict) and bool(context.ours.names & {*map(str, value)})


def _is_another_provider_s(value: Value, context: Context) -> bool:
    return isinstance(value, str) and bool(value) and value.partition("/")[0] not in context.ours.names


SETTINGS = OwnSettings(
    layers=_layers,
    rules=(
        Rule(
            ("enabled_providers",),
            Effect.REFUSE,
            "providers that it does not name do not exist, and so their models do not",
            _leaves_ours_out,
            fix="add NAMES to it",
        ),
        Rule(
            ("disabled_providers",),
            Effect.REFUSE,
            "it names a provider of the connection, which does not exist then, in whatever file it stands",
            _names_ours,
            merged=True,
        ),
        Rule(
            ("provider",),
            Effect.REFUSE,
            "it has a provider of the connection's name, and the two are joined",
            _names_ours,
            merged=True,
        ),
        Rule(
            ("model",),
            Effect.TELL,
            "it begins with this model, which is not asked through the gateway",
            _is_another_provider_s,
            fix="name one of the gateway's with --model, or here",
        ),
        Rule(
            ("small_model",),
            Effect.TELL,
            "titles and summaries are asked of this model, and not through the gateway",
            _is_another_provider_s,
        ),
    ),
)
