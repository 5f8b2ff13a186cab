"""Shell completion of the names that the user gave. It is cheap, and reports no error: a broken file must
not disturb the prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import click

from .context import CliContext

Completer = Callable[[click.Context, click.Parameter, str], list[str]]
Given = Sequence[str]
"""The names on the command line so far."""
_MOST_SESSIONS = 1_000
"""Sessions that are offered: those that changed last."""


def _completer(names: Callable[[CliContext, Given], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        context = CliContext()
        given = [*(value for value in ctx.params.values() if isinstance(value, str)), *ctx.args]
        try:
            return sorted(name for name in names(context, given) if name.startswith(incomplete))
        except Exception:
            return []
        finally:
            context.close()

    return complete


def _pins(context: CliContext, _: Given) -> Iterable[str]:
    providers = context.config.providers.values()
    return [f"{provider.name}/{model}" for provider in providers for model in provider.models or ()]


def _sessions(context: CliContext, _: Given) -> Iterable[str]:
    return [session.id for session in context.existing_store.session_page(_MOST_SESSIONS).sessions]


def _tokens(context: CliContext, _: Given) -> Iterable[str]:
    return [token.id for token in context.existing_store.tokens() if token.revoked_at is None]


def _labels(context: CliContext, given: Given) -> Iterable[str]:
    """Return the keys of the provider on the command line: by its name, or in a pin."""
    names = [word.partition("/")[0] for word in given]
    for provider in context.config.providers.values():
        if provider.name in names:
            return [key.label for key in provider.keys]
    return []


def _presets(_context: CliContext, _: Given) -> Iterable[str]:
    from ..providers import presets

    return presets.rows()


providers = _completer(lambda context, _: context.config.providers)
pins = _completer(_pins)
pins_and_providers = _completer(lambda context, given: [*context.config.providers, *_pins(context, given)])
sessions = _completer(_sessions)
labels = _completer(_labels)
tokens = _completer(_tokens)
presets = _completer(_presets)
