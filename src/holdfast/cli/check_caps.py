"""`holdfast check --caps`: what an endpoint takes of its dialect, found out by small calls, told with their
cost, and written in the form of the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from .context import CliContext
from .output import count, in_a_terminal

if TYPE_CHECKING:
    from ..calls.abilities import Abilities, Result
    from ..core.identity import Connection, Pin, Provider

_OF_THE_MODEL = ("input",)
"""What is a model's, and not its endpoint's."""


def caps_steps(
    context: CliContext, provider: Provider, pin: Pin, *, yes: bool, ask: bool
) -> Iterator[tuple[bool, str]]:
    """Yield what is found, line by line, each with whether it went well. What differs from what we know is
    written into the file with `yes`, or if the user agrees where it may `ask`; else it is printed."""
    from ..calls.abilities import Undecided

    connection, abilities = _abilities(context, provider, pin)
    yield True, f"asking {connection.endpoint.host} with small calls ({connection.dialect}, {pin.model})"
    results: list[Result] = []
    try:
        for result in abilities.find():
            results.append(result)
            yield True, _line(result)
    except Undecided as undecided:
        yield False, f"ended after {count(abilities.calls, 'call')}: {undecided}"
    cost = f"{count(abilities.calls, 'call')}, {abilities.tokens:,} tokens counted by the provider"
    yield True, f"cost {cost}"
    more = _differing(context, connection, results)
    own = {name: value for name, value in more.items() if name not in _OF_THE_MODEL}
    if "input" in more:
        kinds = ", ".join(f'"{kind}"' for kind in more["input"])
        yield True, f'for its models: {{ id = "{pin.model}", input = [{kinds}] }}'
    if own:
        yield True, _written(context, connection, own, yes=yes, ask=ask)
    else:
        yield True, "nothing differs from what is known of this endpoint"


def _line(result: Result) -> str:
    if result.name == "max_tokens":
        return f"the limit of output is called {result.value}"
    return f"{result.name}: {'taken' if result.taken else 'refused'}"


def _abilities(context: CliContext, provider: Provider, pin: Pin) -> tuple[Connection, Abilities]:
    """Return the connection that is asked, that of the first key that can be read, and its trials."""
    from ..calls.abilities import Abilities
    from ..calls.api_calls import call_control_plane
    from ..core.routes import Route
    from ..wire.dialect_probe import PATHS
    from .run_choice import readable

    route = Route.build(provider, provider.served()[0], pin.model)
    connection, secret = readable(context.vault, route)
    path = PATHS[connection.dialect]

    def send(body: dict[str, Any]) -> Any:
        asked = {"model": pin.model, **body}
        return call_control_plane(connection, secret, "POST", path, body=asked, seconds=60.0)

    return connection, Abilities(connection.dialect, send)


def _differing(context: CliContext, connection: Connection, results: list[Result]) -> dict[str, Any]:
    """Return the values that differ from what a translation would go by today."""
    from ..providers.caps import caps_for, vendor_of

    known = caps_for(
        connection.provider,
        connection.dialect,
        connection.model,
        context.config.facts.get(connection.pin),
        endpoint=connection.endpoint,
        own=context.config.caps.get((connection.provider.name, connection.dialect)),
    )
    is_known = bool(vendor_of(connection.provider, connection.endpoint))
    return {
        result.name: result.value
        for result in results
        if _differs(result, getattr(known, result.name), is_known=is_known)
    }


def _differs(result: Result, known: Any, *, is_known: bool) -> bool:
    """Return whether a result says something new. What a vendor is known to ignore is taken by it too; and a
    number that is taken is no limit."""
    if result.value is None or (is_known and result.taken and result.name != "max_tokens"):
        return False
    if result.name == "stop_limit":
        return (known == 0) is result.taken
    return bool(result.value != known)


def _written(
    context: CliContext, connection: Connection, own: Mapping[str, Any], *, yes: bool, ask: bool
) -> str:
    """Write the values into the provider's table, if that is wanted. Return the line about it."""
    from ..config.provider_fields import set_caps
    from ..config.toml_edits import rendered

    name, dialect = connection.provider.name, connection.dialect
    listed = {member: list(value) if isinstance(value, tuple) else value for member, value in own.items()}
    text = f"caps = {{ {dialect} = {rendered(listed)} }}"
    if not yes and ask and in_a_terminal():
        yes = click.confirm(f"Write {text} into provider '{name}'?", default=True)
    if not yes:
        return f"for [provider.{name}]: {text}   (--yes writes it)"
    set_caps(context.editable, str(name), str(dialect), listed)
    return f"wrote {text} into provider '{name}' of {context.home.config}"
