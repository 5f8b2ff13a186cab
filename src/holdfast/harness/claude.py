"""Claude Code: variables, and a settings file of ours that overrides both the project's and its own.

The `env` of its settings overrides the process's environment, in a project's .claude/settings.json too. So
only the user's settings are read, from a private directory, and `--settings` overrides these. Aliases
(`haiku`, `opus`) all mean the pin's model."""

from __future__ import annotations

from shlex import join

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import Attachment, ConnectOffer, File, Handover, Harness, LaunchRequest, expected, named, pretty
from .claude_settings import ALSO_MODELS, SETTINGS
from .environment import EVERYWHERE
from .target_forms import header_lines

_OUTPUT = "CLAUDE_CODE_MAX_OUTPUT_TOKENS"
_LIMITS = {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "context", _OUTPUT: "output"}
_ASKED = 64_000
"""The most tokens of an answer that it asks for by itself."""
_SETTINGS = "holdfast-settings.json"


def routes(root: str, model: str) -> dict[str, str]:
    """Return the variables that set where requests go and what every alias means."""
    return {"ANTHROPIC_BASE_URL": root, "ANTHROPIC_MODEL": model, **dict.fromkeys(ALSO_MODELS, model)}


def limits(facts: ModelFacts) -> dict[str, str]:
    """Return the variables that say how much the model reads and writes; without them a model that the
    program does not know counts as one of a million tokens. A limit of output above what the program asks for
    by itself changes nothing, and is not written."""
    known = named(facts, _LIMITS)
    if facts.get("output", 0) > _ASKED:
        del known[_OUTPUT]
    return {variable: str(value) for variable, value in known.items()}


def _plan(request: LaunchRequest) -> Handover:
    target = request.target
    env = routes(target.bare_url, target.model) | limits(target.facts)
    if target.endpoint.headers:
        env["ANTHROPIC_CUSTOM_HEADERS"] = header_lines(target)
    if not target.direct:
        env["CLAUDE_CODE_MAX_RETRIES"] = "0"
    secret = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105
    if target.endpoint.auth is Auth.X_API_KEY:
        secret = request.variable("anthropic")
    return Handover(
        harness="claude",
        argv=(
            "claude",
            "--setting-sources",
            "user",
            "--settings",
            f"{request.directory}/{_SETTINGS}",
            "--model",
            target.model,
            *request.arguments,
        ),
        files=(
            File(_SETTINGS, pretty({"env": env})),
            File("settings.json", "{}\n"),
            File(".claude.json", pretty({"hasCompletedOnboarding": True}), keep=True),
        ),
        set={
            "CLAUDE_CONFIG_DIR": request.directory,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            **env,
        },
        unset=(*EVERYWHERE, "CLAUDE_*", "CLAUDECODE"),
        secret=secret,
        expected=expected(target),
        proof="`modelUsage` of --output-format json",
    )


def _attach(offer: ConnectOffer) -> Attachment:
    """Attach by the address and a command that prints the key; with a pin, also by the model of every alias.
    The program's own picker gets the other models from the gateway."""
    env = {"ANTHROPIC_BASE_URL": offer.root, "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"}
    use = "claude --model PROVIDER/MODEL"
    if offer.pin:
        env |= routes(offer.root, offer.pin) | limits(offer.facts_of(offer.pin))
        use = "claude"
    members: list[tuple[tuple[str, ...], object]] = [(("env", name), value) for name, value in env.items()]
    members.append((("apiKeyHelper",), join(offer.token_command)))
    return Attachment(
        variable="CLAUDE_CONFIG_DIR",
        directory=".claude",
        names=("settings.json",),
        members=tuple(members),
        use=use,
    )


HARNESS = Harness(
    name="claude",
    title="Claude Code",
    executable="claude",
    install="npm install -g @anthropic-ai/claude-code",
    speaks=(Dialect.ANTHROPIC_MESSAGES,),
    plan=_plan,
    oldest="2.0",
    tested="2.1.332",
    shows={Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.BEARER, Auth.X_API_KEY})},
    attach=_attach,
    settings=SETTINGS,
    chooses=("--model", "--fallback-model", "--settings", "--setting-sources", "--bare"),
)
