"""`holdfast run`: run a program on exactly the connection that was chosen, and report afterwards which
connection answered."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .output import command_of, if_any, note
from .run_list import list_programs

if TYPE_CHECKING:
    from ..core.identity import Endpoint
    from ..gateway.embedded import Gate
    from ..harness.base import Handover, LaunchRequest, Target
    from ..sdk.api import Holdfast
    from ..values.secret import Secret
    from .run_choice import Choice

_ALL_EVENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Launch:
    """The launch of one program: its path, its own arguments, and its private directory."""

    holdfast: Holdfast
    choice: Choice
    program: str
    arguments: tuple[str, ...]
    directory: Path

    def target(self, endpoint: Endpoint, *, direct: bool) -> Target:
        """Return where the program sends its requests, with what is known of the chosen model."""
        from ..harness.base import Target
        from ..providers.model_facts import facts_of

        connection, engine = self.choice.connection, self.holdfast.engine
        listed = engine.lists.facts(connection)
        facts = facts_of(engine.config(), self.choice.pin, listed, endpoint=connection.endpoint)
        translated = self.choice.dialect is not connection.dialect
        return Target(self.choice.pin, endpoint, direct, facts, translated=translated)

    def request(self, target: Target, version: tuple[int, ...] = ()) -> LaunchRequest:
        """Return the request for a plan; without `version`, for a program of unknown version."""
        from ..harness.base import LaunchRequest
        from .run_choice import variables

        return LaunchRequest(
            target=target,
            directory=str(self.directory),
            version=version,
            arguments=self.arguments,
            variables=variables(),
        )


@dataclass(frozen=True, slots=True)
class _Destination:
    """The place that the program sends its requests to, what it authenticates with there, and the gateway,
    if it is one."""

    endpoint: Endpoint
    secret: Secret | None
    gate: Gate | None


@click.command()
@click.argument("harness", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--pin",
    help="Choose this provider/model for the session; without it the session keeps its choice, and in a "
    "terminal a new one is asked for it.",
    shell_complete=complete.pins,
)
@click.option(
    "--session",
    help="Use this session, not the one of this program in this directory.",
    shell_complete=complete.sessions,
)
@click.option(
    "--direct",
    is_flag=True,
    help="Connect straight to the provider: no gateway, no recovery, the key in the program's environment.",
)
@click.option("--url", help="Instead of --pin: the URL of a provider, which is kept as one of yours.")
@click.option("--key", "keys", multiple=True, metavar="REF", help="With --url: a key, such as env:MY_KEY.")
@click.option("--model", help="With --url: the model.")
@click.option("--list", "listing", is_flag=True, help="List the programs that can be run.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Run a program on a pin, without giving it the key.

    Arguments after `--` go to the program. Its requests go through a gateway that runs as long as the program
    and accepts only this model; retries and fallback work as usual. The program's exit code is passed on;
    exit 1 also if it did not stay on the pin.

    \b
    Example:
      holdfast run pi --pin mimo-plan/mimo-v2.5-pro -- -p "what is in this directory?"
      holdfast run claude --url https://llm.corp.example/v1 --key env:LLM_KEY --model big
    """
    from ..sdk.api import open as open_home
    from .pin_question import asked_for_pin
    from .run_choice import choice_of, find_harness, selected_pin, session_name

    context: CliContext = ctx.obj
    if given["listing"] or not given["harness"]:
        list_programs(as_json=given["as_json"])
        return
    harness = find_harness(given["harness"])
    harness.check_plan()
    given["pin"] = _pin_given(context, harness.name, given)
    with open_home(store=context.store, vault=context.vault) as holdfast:
        session = given["session"] or session_name(harness, Path.cwd())
        ask = partial(asked_for_pin, context, harness)
        pin, key = selected_pin(holdfast, session, given["pin"], harness, ask=ask)
        choice = choice_of(holdfast, harness, session=session, pin=pin, key=key, direct=given["direct"])
        directory = context.home.state / "run" / harness.name / session
        ctx.exit(_run(holdfast, choice, given["arguments"], directory, direct=given["direct"]))


def _pin_given(context: CliContext, harness: str, given: Mapping[str, Any]) -> str | None:
    """Return the pin that is given, also as the address of a provider, its keys and a model. Raises
    ConfigError."""
    from ..core.errors import ConfigError
    from .known_provider import Address, misplaced_keys, provider_at
    from .new_provider import check_given
    from .pins import parsed_pin

    if given["url"] is None and not given["keys"] and given["model"] is None:
        return str(parsed_pin(context, given["pin"])) if given["pin"] else None
    whole = {name: given[name] or name.upper() for name in ("url", "model")}
    again = command_of("holdfast run", harness, {**whole, "key": given["keys"] or "env:VARIABLE"})
    if given["pin"] or given["url"] is None or given["model"] is None:
        raise ConfigError("--url and --model go together, and without --pin", next_step=again)
    check_given("holdfast run", harness, given["keys"], whole)
    provider, lines = provider_at(context, Address(given["url"]), given["keys"], [given["model"]])
    wrong = misplaced_keys(context, provider)
    for line in (*lines, *wrong):
        note(line.strip())
    if wrong:
        raise ConfigError(
            "nothing was sent: a key may be in the wrong place", next_step=f"holdfast check {provider.name}"
        )
    return f"{provider.name}/{given['model']}"


def _run(
    holdfast: Holdfast, choice: Choice, arguments: tuple[str, ...], directory: Path, *, direct: bool
) -> int:
    """Run the program to its end and return its exit code. Raises CannotHandOver before anything is written,
    ModelDropped when it did not stay on its pin."""
    from ..harness import apply, process
    from .run_choice import settle

    program = process.find(choice.harness, os.environ)
    launch = _Launch(holdfast, choice, program, arguments=arguments, directory=directory)
    endpoint = replace(choice.connection.endpoint, dialect=choice.dialect)
    choice.harness.hand_over(launch.request(launch.target(endpoint, direct=direct)))
    with apply.claimed(directory, choice.session):
        settle(holdfast, choice)
        with _destination(holdfast, choice, direct=direct) as destination:
            return _supervised(launch, destination)


@contextmanager
def _destination(holdfast: Holdfast, choice: Choice, *, direct: bool) -> Iterator[_Destination]:
    """Give the provider itself, or a gateway that runs as long as the program."""
    from ..gateway.embedded import serving

    if direct:
        yield _Destination(choice.connection.endpoint, choice.secret, None)
        return
    with serving(holdfast.engine, choice.session, choice.pin) as gate:
        yield _Destination(gate.endpoint(choice.dialect), gate.token, gate)


def _supervised(launch: _Launch, destination: _Destination) -> int:
    """Run the program, remove its files, report what answered, and return its exit code (128 and the number
    of a signal)."""
    from ..harness import apply, process

    choice, gate = launch.choice, destination.gate
    title = choice.harness.title
    plan, environ = _planned(launch, destination)
    began = launch.holdfast.engine.store.now()
    directly = ", without a gateway" if gate is None else ""
    note(f"{title} on {choice.connection}, session {choice.session}{directly}")
    try:
        code = process.run([launch.program, *plan.argv[1:]], environ)
    finally:
        rewritten = apply.withdraw(plan, launch.directory)
    if rewritten:
        note(f"{title} rewrote {', '.join(rewritten)} while it ran; that was undone")
    if code < 0:
        note(f"{title} was ended by signal {-code}")
        code = 128 - code
    if gate is None:
        proof = if_any("; it shows the model itself: {}", plan.proof)
        note(f"{title} called the provider directly: Holdfast saw none of its requests{proof}")
    else:
        _report(launch, gate, began)
    return code


def _planned(launch: _Launch, destination: _Destination) -> tuple[Handover, dict[str, str]]:
    """Return the plan, whose files are written, and the child's environment."""
    from .._files import write_private
    from ..harness import apply, process
    from .run_choice import foreign, secrets_of, variables

    choice, secret = launch.choice, destination.secret
    strangers = foreign(launch.holdfast.config, variables().values())
    secrets = list(secrets_of(launch.holdfast.engine.vault, launch.holdfast.config))
    if secret is not None:
        secrets.append(secret)

    def environment(plan: Handover, secret: Secret | None) -> dict[str, str]:
        return apply.environment(plan, os.environ, secret, known=secrets, foreign=strangers)

    target = launch.target(destination.endpoint, direct=destination.gate is None)
    # The program is asked for its version without the secret, then planned for that version.
    draft = choice.harness.hand_over(launch.request(target))
    version = process.version(launch.program, environment(draft, None), launch.directory)
    plan = choice.harness.hand_over(launch.request(target, version))
    apply.refuse_project(plan, Path.cwd())
    apply.lay_out(plan, launch.directory, write_private)
    return plan, environment(plan, secret)


def _report(launch: _Launch, gate: Gate, began: float) -> None:
    """Print what answered since `began` (epoch seconds). Raises ModelDropped when something else than the pin
    was used or asked for."""
    from .run_report import account, require_pin

    choice, engine = launch.choice, launch.holdfast.engine
    engine.journal_writer.flush()
    _wait_for_others(launch)
    journal = engine.store.journal(session=choice.session, limit=_ALL_EVENTS)
    chain = launch.holdfast.config.fallbacks.get(choice.pin)
    fallbacks = chain.then if chain is not None else ()
    summary = account((event for event in journal if event.at >= began), choice.pin, fallbacks, gate.refused)
    note(str(summary))
    require_pin(summary, choice.pin, choice.session)


def _wait_for_others(launch: _Launch) -> None:
    """Wait until other gateways have written what they sent for this session: they write their journal a
    moment later."""
    from ..engine.journal_writer import OTHERS_SEE_IT_AFTER
    from ..gateway.registry import standing
    from ..store.opening import database

    home, setting = launch.holdfast.engine.home, launch.holdfast.config.gateway.store
    shared = database(setting, home.state) is None and not setting.startswith("memory:")
    if shared or standing(home.state):
        time.sleep(OTHERS_SEE_IT_AFTER)
