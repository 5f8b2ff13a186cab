"""Shell completion of the names that the user gave. Cheap, and silent whatever is wrong: a broken file must
not break a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import click

from .context import CliContext

Completer = Callable[[click.Context, click.Parameter, str], list[str]]
Given = Sequence[str]
"""The names that stand on the command line so far."""


def _completer(names: Callable[[CliContext, Given], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        context, given = (
            CliContext(),
            [*(one for one in ctx.params.values() if isinstance(one, str)), *ctx.args],
        )
        try:
            return sorted(name for name in names(context, given) if name.startswith(incomplete))
        except Exception:
            return []
        finally:
            context.close()

    return complete


def _pins(context: CliContext, _: Given) -> Iterable[str]:
    return [f"{one.name}/{model}" for one in context.config.providers.values() for model in one.models or ()]


def _sessions(context: CliContext, _: Given) -> Iterable[str]:
    return [one.id for one in context.memory.sessions()] if context.memory is not None else []


def _tokens(context: CliContext, _: Given) -> Iterable[str]:
    return (
        [one.id for one in context.memory.tokens() if one.revoked_at is None]
        if context.memory is not None
        else []
    )


def _labels(context: CliContext, given: Given) -> Iterable[str]:
    """The keys of the provider that stands on the command line: as itself, or in front of a pin."""
    names = [word.partition("/")[0] for word in given]
    return next(
        [key.label for key in one.keys] for one in context.config.providers.values() if one.name in names
    )


def _presets(_opened: CliContext, _: Given) -> Iterable[str]:
    from ..providers import presets

    return presets.rows()


providers = _completer(lambda context, _: context.config.providers)
pins = _completer(_pins)
pins_and_providers = _completer(lambda context, given: [*context.config.providers, *_pins(context, given)])
sessions = _completer(_sessions)
labels = _completer(_labels)
tokens = _completer(_tokens)
presets = _completer(_presets)
