"""Codex's own settings that win over a connection; driven with 0.169.0.

The profile that `connect` writes wins over the user's own file, and is joined with it table by table; a file
of the machine's administrator wins over both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from .own_settings import Context, Effect, Layer, OwnSettings, Rule, Scope, Value, home_of, is_given, of_toml

_MANAGED = Path("/etc/codex/managed_config.toml")


def _layers(environ: Mapping[str, str], _: Path) -> Iterator[Layer]:
    home = Path(environ.get("CODEX_HOME") or home_of(environ) / ".codex")
    yield of_toml(Scope.ALWAYS, Path("/etc/codex/config.toml"))
    yield of_toml(Scope.ALWAYS, home / "config.toml")
    yield of_toml(Scope.ALWAYS, home / "holdfast.config.toml")
    yield of_toml(Scope.ALWAYS, _MANAGED)


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
