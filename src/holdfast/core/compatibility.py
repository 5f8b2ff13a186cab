"""The gate before another program, and the check after it: which dialect carries the connection, and did the
chosen model answer? Decided by dialect alone, never by a vendor's or a deployment's name (story 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .errors import CannotHandOver, ModelDropped
from .identity import Connection, Dialect, Provider
from .known_hosts import KnownAt, more_dialects, nobody_knows

# How a maker dates or names an edition of a model; what precedes is the model. Sources: the makers' lists of
# models, 2026-11.
_EDITIONS = (
    r"\d{4}-\d{2}-\d{2}",  # gpt-4o-2024-11-20
    r"\d{8}",  # claude-sonnet-4-5-20250929, also after @ (Vertex)
    r"\d{4}",  # kimi-k2-0905, grok-4-0709
    r"\d{4}-preview",  # gpt-4-1106-preview
    r"preview(?:-\d{2}-(?:\d{2}|\d{4}))?",  # gemini-2.5-flash-preview-09-2025
    r"latest",
)
_EDITION = re.compile(rf"(.+?)[-@]({'|'.join(_EDITIONS)})")
_FLOATING = frozenset({"", "latest", "preview"})
# What a relay appends to say how it routes; other tags (`llama3:70b`) name another model.
_ROUTES = frozenset({"free", "nitro", "floor", "online", "exacto", "extended", "thinking", "latest"})
# Names that a maker answers with another name (the pattern must match both ends).
_ALIASES = tuple(
    (re.compile(chosen), answered)
    for chosen, answered in (
        (r"claude-(opus|sonnet)-4-0", r"claude-\1-4"),  # docs.anthropic.com, models overview
        (
            r"(gemini)-(flash|pro|flash-lite)",
            r"\1-\\d+(?:\\.\\d+)?-\2",
        ),  # gemini-flash-latest: ai.google.dev, model versions
        (r"kimi", r"(?:kimi|moonshot)-.+"),  # kimi-latest: platform.moonshot.ai
        (r"(grok-code-fast|grok-\d)", r"\1(?:-\\d)?"),  # docs.x.ai, aliases
        (
            r"(?:auto|openrouter/auto|router|model-router)",
            r".+",
        ),  # a router is what was chosen: any model may answer
    )
)


def dialect_for(
    harness: str,
    speaks: Sequence[Dialect],
    provider: Provider,
    others: Iterable[Provider] = (),
    *,
    wire: str = "",
    known_at: KnownAt = nobody_knows,
) -> Dialect:
    """Return the first dialect in the harness's order that the provider has.

    Raises CannotHandOver that names both sides, and what would do: a dialect that a preset has at the
    provider's host, or which of the `others`. `wire` says what the harness speaks where that is none of our
    dialects."""
    for dialect in speaks:
        if dialect in provider.dialects:
            return dialect
    fitting = [one for one in others if set(one.dialects) & set(speaks)]
    details = [
        f"of your providers, '{one.name}' speaks {', '.join(d for d in one.dialects if d in speaks)}"
        for one in fitting
    ]
    step = f"holdfast models --harness {harness}"
    more = more_dialects(known_at, provider, speaks)
    if more is not None:
        details, step = [more.what, *details], more.command
    elif fitting:
        step += "   (shows which of your providers it can use)"
    else:
        step += " --all   (none of your providers speaks that; it shows why)"
    raise CannotHandOver(
        f"{harness} speaks {', '.join(speaks) or wire}; provider '{provider.name}' has {', '.join(provider.dialects)}",
        details=details,
        next_step=step,
    )


def confirm_model(connection: Connection, answered: str) -> ModelDropped | None:
    """What to say when another model answered than the connection's; None when it is the same, or when the
    provider did not say. A name of the user's own may answer as what they wrote in `answers_as`, too."""
    chosen, provider = connection.model, connection.provider
    if (
        not answered
        or answered == chosen
        or any(
            same_model(one, answered)
            for one in (chosen, *(to for own, to in provider.answers_as if own == chosen))
        )
    ):
        return None
    what = f"another model answered: '{answered[:80]}', and '{connection.pin}' was chosen"
    return ModelDropped(what, next_step=f"holdfast models --provider {provider.name}")


@lru_cache(maxsize=1024)
def same_model(chosen: str, answered: str) -> bool:
    """Whether the model that a provider says it answered with is the chosen one.

    Case, the path of a vendor (`models/…`, `xiaomi/…`) and a relay's route (`:free`) make no difference. A
    name without a date may be answered by any edition of it, `latest` by any date; two dates are two models.
    """
    if not answered:
        return False
    (name, edition), (other, told) = _parts(chosen), _parts(answered)
    fits = edition == told or edition in _FLOATING or told in _FLOATING
    return (fits and name == other) or any(
        found.fullmatch(name) and re.fullmatch(found.sub(to, name), other) for found, to in _ALIASES
    )


def _parts(model: str) -> tuple[str, str]:
    """A name as (model, edition)."""
    name, _, tag = model.lower().rsplit("/", 1)[-1].partition(":")
    name = name if not tag or tag in _ROUTES else f"{name}:{tag}"
    found = _EDITION.fullmatch(name)
    return (found[1], found[2].removesuffix("-preview")) if found else (name, "")
