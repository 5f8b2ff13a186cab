"""The own settings of opencode, and of a program that is made of it, that win over a connection; driven with
opencode 1.18.33 and Kilo Code CLI 7.7.9.

It joins all its files, object by object, and the last wins: three of the user's, the one that a variable
names, those of the project and of directories above it, a variable with settings, and those of the machine's
administrator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

_MANAGED = Path("/etc")
"""The directory of the machine's administrator, which has one of each program."""


def settings_of(program: str, names: Sequence[str], directories: Sequence[str]) -> OwnSettings:
    """Return the settings of opencode, or of a program that is made of it. Its files have these `names`, in a
    project also in these `directories`; its variables begin with its name."""
    prefix = program.upper()

    def layers(environ: Mapping[str, str], working: Path) -> Iterator[Layer]:
        user = Path(environ.get("XDG_CONFIG_HOME") or home_of(environ) / ".config") / program
        for name in ("config.json", *names):
            yield of_json(Scope.ALWAYS, user / name)
        if environ.get(f"{prefix}_CONFIG"):
            yield of_json(Scope.ALWAYS, Path(environ[f"{prefix}_CONFIG"]))
        if not environ.get(f"{prefix}_DISABLE_PROJECT_CONFIG"):
            for directory in reversed([working, *working.parents]):
                for name in names:
                    for folder in (directory, *(directory / own for own in directories)):
                        yield of_json(Scope.PROJECT, folder / name)
        if environ.get(f"{prefix}_CONFIG_DIR"):
            for name in names:
                yield of_json(Scope.ALWAYS, Path(environ[f"{prefix}_CONFIG_DIR"]) / name)
        yield of_json_variable(environ, f"{prefix}_CONFIG_CONTENT")
        for name in names:
            yield of_json(Scope.ALWAYS, _MANAGED / program / name)

    return OwnSettings(layers=layers, rules=_RULES)


def _leaves_ours_out(value: Value, context: Context) -> bool:
    return isinstance(value, list) and not context.ours.names <= {*map(str, value)}


def _names_ours(value: Value, context: Context) -> bool:
    return isinstance(value, list | dict) and bool(context.ours.names & {*map(str, value)})


def _is_another_provider_s(value: Value, context: Context) -> bool:
    return isinstance(value, str) and bool(value) and value.partition("/")[0] not in context.ours.names


_RULES = (
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
)
SETTINGS = settings_of("opencode", ("opencode.json", "opencode.jsonc"), (".opencode",))
