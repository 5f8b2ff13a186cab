"""Claude Code's own settings that win over a connection; driven with 2.1.332.

The last file that sets a name wins: the user's, the project's, the project's local one, the managed one.
`env` in a file wins over the process's environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from .own_settings import (
    Context,
    Effect,
    Holds,
    Layer,
    OwnSettings,
    Rule,
    Scope,
    Value,
    home_of,
    is_given,
    of_json,
)

_MANAGED = (
    "/etc/claude-code/managed-settings.json",
    "/Library/Application Support/ClaudeCode/managed-settings.json",
)
_ON = ("1", "true", "yes", "on")
CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_MANTLE": "Amazon Bedrock",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS": "Amazon Web Services",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD": "Google Cloud",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
}
"""Variables that send every request to a cloud where they are on."""
ALSO_MODELS = (
    *(f"ANTHROPIC_DEFAULT_{alias}_MODEL" for alias in ("HAIKU", "SONNET", "OPUS", "FABLE")),
    "ANTHROPIC_SMALL_FAST_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
)
"""Variables that name the models of some requests, beside ANTHROPIC_MODEL."""
_PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")


def _layers(environ: Mapping[str, str], working: Path) -> Iterator[Layer]:
    yield Layer(Scope.SHELL, None, {"env": environ})
    user = Path(environ.get("CLAUDE_CONFIG_DIR") or home_of(environ) / ".claude") / "settings.json"
    yield of_json(Scope.ALWAYS, user)
    for name in ("settings.json", "settings.local.json"):
        project = working / ".claude" / name
        if project != user:
            yield of_json(Scope.PROJECT, project)
    for managed in managed_files():
        yield of_json(Scope.ALWAYS, managed)


def managed_files() -> Iterator[Path]:
    """Yield the files of the machine's administrator, whether they exist or not; a later one wins."""
    for managed in map(Path, _MANAGED):
        yield managed
        yield from sorted(managed.with_suffix(".d").glob("*.json"))


def is_on(value: object) -> bool:
    """Return whether a variable's value means that it is on."""
    return str(value).lower() in _ON


def _is_on(value: Value, _: Context) -> bool:
    return is_on(value)


def _is_no_pin(value: Value, _: Context) -> bool:
    """Return whether this is a model, and none that the gateway could know: a pin has a slash."""
    return isinstance(value, str) and value not in ("", "default") and "/" not in value


def _takes_ours(value: Value, context: Context) -> bool:
    """Return whether a proxy would get the requests for the gateway."""
    spared = (context.value(("env", name)) for name in ("NO_PROXY", "no_proxy"))
    hosts = {host.strip() for text in spared for host in str(text or "").split(",")}
    return bool(value) and not hosts & {context.ours.host, "*"}


def _shows_a_key(value: Value, _: Context) -> bool:
    names = (line.partition(":")[0].strip().lower() for line in str(value).splitlines())
    return "x-api-key" in names


def _begins_elsewhere(value: Value, context: Context) -> bool:
    """Return whether it begins with another model; a pin of ours is in a variable, which wins over this."""
    return not context.ours.pin and _is_no_pin(value, context)


def _with_both_keys(value: Value, context: Context) -> bool:
    """Return whether both headers that show a key have one of the user's: otherwise the gateway's token is in
    the other one."""
    return bool(value) and bool(context.value(("env", _KEYS[1])))


def _leaves_the_pin_out(value: Value, context: Context) -> bool:
    """Return whether a list of models has not the one to begin with."""
    return isinstance(value, list) and bool(context.ours.pin) and context.ours.pin not in value


def _has_no_pin(value: Value, context: Context) -> bool:
    """Return whether a list of models has none of the gateway's, where none is chosen here."""
    return isinstance(value, list) and not context.ours.pin and not any("/" in str(model) for model in value)


def _with_one_key(value: Value, context: Context) -> bool:
    """Return whether one of the two headers that show a key has one of the user's."""
    return bool(value) and not all(context.value(("env", name)) for name in _KEYS)


def _env(name: str, effect: Effect, why: str, holds: Holds, *, fix: str = "") -> Rule:
    return Rule(("env", name), effect, why, holds, fix=fix)


_MAKER = "ANTHROPIC"
_KEYS = (f"{_MAKER}_AUTH_TOKEN", f"{_MAKER}_API_KEY")
_BESIDE = "it is sent to the gateway beside the token, and the gateway passes it to nobody"
_BEGINS = "it begins with this model, and the gateway takes models by their pin"
_MEANS = "some of its requests name this model, and the gateway takes models by their pin"
_UNLISTED = "a model that it does not list is replaced by one of its own choice"
_LIST_IT = "add PROVIDER/MODEL to it"
_WITH_PIN = "holdfast connect claude --pin PROVIDER/MODEL"
_CLOUD_RULES = tuple(
    _env(
        switch,
        Effect.REFUSE,
        f"every request goes to {cloud}, and none to the gateway",
        _is_on,
    )
    for switch, cloud in CLOUDS.items()
)
_PROXY_RULES = tuple(
    _env(
        name,
        Effect.REFUSE,
        "requests to the gateway go to this proxy, which cannot pass them on",
        _takes_ours,
        fix="set NO_PROXY to HOST beside it",
    )
    for name in _PROXIES
)
SETTINGS = OwnSettings(
    layers=_layers,
    rules=(
        *_CLOUD_RULES,
        _env("ANTHROPIC_BASE_URL", Effect.REFUSE, "requests go there, and not to the gateway", is_given),
        Rule(
            ("apiKeyHelper",), Effect.REFUSE, "what it prints is sent, and not the gateway's token", is_given
        ),
        _env(
            _KEYS[0],
            Effect.REFUSE,
            f"with {_KEYS[1]} it leaves no header for the gateway's token",
            _with_both_keys,
        ),
        *_PROXY_RULES,
        *(_env(name, Effect.TELL, _BESIDE, _with_one_key) for name in _KEYS),
        _env("ANTHROPIC_CUSTOM_HEADERS", Effect.TELL, _BESIDE, _shows_a_key),
        Rule(("availableModels",), Effect.REFUSE, _UNLISTED, _leaves_the_pin_out, fix=_LIST_IT),
        Rule(("availableModels",), Effect.TELL, _UNLISTED, _has_no_pin, fix=_LIST_IT),
        _env("ANTHROPIC_MODEL", Effect.TELL, _BEGINS, _is_no_pin, fix=_WITH_PIN),
        *(_env(name, Effect.TELL, _MEANS, _is_no_pin, fix=_WITH_PIN) for name in ALSO_MODELS),
        Rule(("model",), Effect.TELL, _BEGINS, _begins_elsewhere, fix=_WITH_PIN),
        Rule(
            ("forceLoginMethod",),
            Effect.TELL,
            "a sign-in that it asks for is of this kind; requests go to the gateway all the same",
            is_given,
            fix="nothing has to be done",
        ),
    ),
)
