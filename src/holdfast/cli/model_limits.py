"""The options by which a command is told the limits of a model: `--context` and `--output`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

Command = Callable[..., Any]

_NAMES = ("context", "output")


def limit_options(command: Command) -> Command:
    """Give a command the options `--context` and `--output`."""
    for name, what in (("output", "one answer of it"), ("context", "its window, with its answer,")):
        help_ = f"The tokens that {what} can have; for the models that are given here."
        command = click.option(f"--{name}", type=click.IntRange(1), metavar="TOKENS", help=help_)(command)
    return command


def with_limits(models: Sequence[str], given: Mapping[str, Any], again: str) -> Sequence[object]:
    """Return the models as holdfast.toml has them, with the limits that are given. Raises ConfigError with
    the command `again` for limits of no model."""
    from ..config.model_tables import written
    from ..core.errors import ConfigError

    limits = {name: given[name] for name in _NAMES if given[name] is not None}
    if limits and not models:
        raise ConfigError(f"--{' and --'.join(limits)}: of which model?", next_step=again)
    return [written(model, **limits) for model in models]
