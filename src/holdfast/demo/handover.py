"""Story 2, the part of the core: which programs can use a provider, the one list of models, and the model
that really answered."""

from __future__ import annotations

from ..config.catalog import options
from ..core.compatibility import dialect_for, spoken_to
from ..core.config import ModelFacts
from ..core.errors import CannotHandOver
from ..core.identity import Dialect, Provider, ProviderName
from ..core.routes import Route
from ..fake_provider import ScriptedProvider, ok
from ..harness import SPEAKS
from ..store.journal_events import ModelDiffered, of_type
from .stage import Stage, counted

_LISTED = ("north-1", "north-1-mini", "north-2-preview")


def play(stage: Stage) -> None:
    """Show which programs can use an entry, the list of models, and the handling of a wrong name."""
    show = stage.show
    intro = (
        "Elsewhere, an entry of the user's own was refused because it was named like a known maker, its "
        "models could not be picked, and a model that could not be set was silently dropped."
    )
    show.scene(2, "A provider of your own is as good as a known one", intro)
    other = stage.provider(ok(), models=_LISTED)
    stage.entry("deepseek-eu", other, ["eu"])
    config = stage.restart().config
    provider = config.providers[ProviderName("deepseek-eu")]
    _gate(stage, provider)
    _picker(stage, provider)
    _wrong_model(stage, other)


def _gate(stage: Stage, provider: Provider) -> None:
    """Ask for every program which dialect carries the entry."""
    show, visits = stage.show, stage.requests()
    results: dict[str, str] = {}
    for program in ("pi", "codex"):
        try:
            dialect = dialect_for(program, SPEAKS[program], provider)
            results[program] = f"can use {provider.name}, by {_way(dialect, spoken_to(provider, dialect))}"
        except CannotHandOver as refusal:
            results[program] = refusal.what
        show.step(program, results[program])
    passed = "openai-chat" in results["pi"]
    both = "openai-responses, translated to openai-chat" in results["codex"]
    show.promise(
        "The gate asks for the dialect, never for a name",
        passed and both and stage.requests() == visits,
        f"{stage.requests() - visits} requests anywhere before the decision",
    )


def _way(dialect: Dialect, spoken: Dialect) -> str:
    """Return how a program's requests reach a provider that is spoken to in a dialect."""
    if spoken is dialect:
        return str(dialect)
    return f"{dialect}, translated to {spoken}"


def _picker(stage: Stage, provider: Provider) -> None:
    """Show the list of all models that can be chosen: declared in the file, or listed by the provider."""
    show, engine = stage.show, stage.hf.engine
    connection = Route.build(provider, Dialect.OPENAI_CHAT, "any").connection
    key = connection.key
    secret = None if key is None else engine.vault.secret(key)
    discovered = {str(provider.name): dict.fromkeys(engine.relist(connection, secret), ModelFacts())}
    choices = options(stage.hf.config, discovered)
    show.step(
        "picker",
        "\n".join(
            f"{choice.pin!s:<28} {'declared' if choice.declared else 'listed by the provider'}"
            for choice in choices
        ),
    )
    pins = [str(choice.pin) for choice in choices]
    complete = all(f"{provider.name}/{model}" in pins for model in _LISTED) and {
        "team-a/north-1",
        "team-b/north-1",
    } <= set(pins)
    show.promise(
        "One list of models, each with its connection",
        complete and len(set(pins)) == len(pins),
        f"{len(_LISTED)} models listed by deepseek-eu, {len(pins)} choices in all",
    )


def _wrong_model(stage: Stage, other: ScriptedProvider) -> None:
    """Mistype a model, which is refused before any request; then let another model answer, which is noted."""
    show = stage.show
    visits = stage.requests()
    session = stage.hf.session("picky", "mimo-plan/mimo-v2.5-pro")
    reply = stage.ask(session, "mimo-v2.5-prp")
    show.step("program", "asks for model mimo-v2.5-prp")
    show.step("holdfast", reply.text)
    none_sent = stage.requests() == visits
    near = reply.status == 404 and "could be: mimo-plan/mimo-v2.5-pro" in reply.text
    show.promise(
        "A mistyped model is refused, with near names",
        near and none_sent,
        f"{stage.requests() - visits} requests anywhere",
    )

    other.follow(ok(model="north-1-mini"))
    session = stage.hf.session("dropped", "deepseek-eu/north-2-preview")
    reply = stage.ask(session)
    noted = of_type(session.attempts(), ModelDiffered)
    show.step("provider", f"HTTP 200, but by model {reply.model} instead of {session.model}")
    show.step("holdfast", session.why().splitlines()[-1].partition("  ")[2])
    asked = {call.model for call in other.calls} == {"north-2-preview"}
    show.promise(
        "Another model that answers is written down",
        reply.ok and asked and len(noted) == 1,
        counted(other.calls, "deepseek-eu")
        + f", all for {', '.join(call.model or '' for call in other.calls)}",
    )
