"""Codex's own settings that win over a connection; driven with 0.171.0.

The profile that `connect` writes wins over the user's own file, and is joined with it table by table. The
model of a project that it trusts wins over that, and a file of the machine's administrator over all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from .apply import upwards
from .own_settings import Context, Effect, Layer, OwnSettings, Rule, Scope, Value, home_of, is_given, of_toml

_MANAGED = Path("/etc/codex/managed_config.toml")


def _layers(environ: Mapping[str, str], working: Path) -> Iterator[Layer]:
    home = Path(environ.get("CODEX_HOME") or home_of(environ) / ".codex")
    yield of_toml(Scope.ALWAYS, Path("/etc/codex/config.toml"))
    yield of_toml(Scope.ALWAYS, home / "config.toml")
    yield of_toml(Scope.ALWAYS, home / "holdfast.config.toml")
    for directory in reversed(upwards(working)):
        path = directory / ".codex" / "config.toml"
        if path.parent != home:
            yield _of_project(path)
    yield of_toml(Scope.ALWAYS, _MANAGED)


def _of_project(path: Path) -> Layer:
    """Return what Codex takes of a project that it trusts: the model, and no provider."""
    values = of_toml(Scope.PROJECT, path).values
    return Layer(Scope.PROJECT, path, {name: values[name] for name in ("model",) if name in values})


def _has_ours(value: Value, _: Context) -> bool:
    return isinstance(value, dict) and "holdfast" in value


SETTINGS = OwnSettings(
    layers=_layers,
    rules=(
        Rule(("model_provider",), Effect.REFUSE, "requests go there, and not to the gateway", is_given),
        Rule(("model",), Effect.TELL, "it begins with this model, and not with the connection's", is_given),
        Rule(
            ("model_providers",),
            Effect.REFUSE,
            "it has a provider of the connection's name, and the two are joined",
            _has_ours,
            merged=True,
        ),
        Rule(
            ("profile",),
            Effect.TELL,
            "Codex does not start with --profile while this is set",
            is_given,
        ),
        Rule(
            ("profiles",),
            Effect.TELL,
            "Codex does not start with --profile holdfast while it has a table of that name",
            _has_ours,
        ),
    ),
)
