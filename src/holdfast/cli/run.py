"""`holdfast run`: a program on exactly the connection that was chosen, and proof afterwards of what
answered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .output import plain, show_json, table

if TYPE_CHECKING:
    from ..core.identity import Endpoint
    from ..core.secret import Secret
    from ..gateway.embedded import Gate
    from ..harness.base import Handover
    from ..sdk.api import Holdfast
    from .run_choice import Choice

_ALL_EVENTS = 1_000_000


@click.command()
@click.argument("harness", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--pin",
    help="Choose this provider/model for the session; without it the session keeps its choice.",
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
    """
    from ..sdk.api import open as open_home
    from .run_choice import choice, chosen, known, session_name

    context: CliContext = ctx.obj
    if given["listing"] or not given["harness"]:
        _list(as_json=given["as_json"])
        return
    program = known(given["harness"])
    with open_home(store=context.store, vault=context.vault) as holdfast:
        session = given["session"] or session_name(program, Path.cwd())
        what = choice(holdfast, session, program, *chosen(holdfast, session, given["pin"], program))
        ctx.exit(
            _run(
                holdfast,
                what,
                given["arguments"],
                context.home.state / "run" / program.name / session,
                direct=given["direct"],
            )
        )


def _list(*, as_json: bool) -> None:
    from ..harness import HARNESSES

    rows = [
        (one.name, one.title, ", ".join(one.speaks) or one.wire, one.tested, one.no_plan)
        for one in HARNESSES.values()
    ]
    if as_json:
        names = ("name", "title", "speaks", "tested", "why_not")
        show_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        shown = [
            (
                name,
                title,
                speaks,
                f"no: {why_not}"
                if why_not
                else f"driven with {tested}"
                if tested
                else "from its documentation, not driven",
            )
            for name, title, speaks, tested, why_not in rows
        ]
        table(("HARNESS", "PROGRAM", "SPEAKS", "STATE"), shown, empty="")


def _run(
    holdfast: Holdfast, what: Choice, arguments: tuple[str, ...], directory: Path, *, direct: bool
) -> int:
    """Run the program to its end. Raises CannotHandOver before anything is written, ModelDropped when it did
    not stay on its pin."""
    from ..harness import apply, process
    from ..harness.base import LaunchRequest, Target
    from .run_choice import settle, variables

    program = process.find(what.harness, os.environ)
    what.harness.hand_over(
        LaunchRequest(
            Target(what.pin, what.connection.endpoint, direct), str(directory), (), arguments, variables()
        )
    )
    with apply.claimed(directory, what.session):
        settle(holdfast, what)
        with _way(holdfast, what, direct=direct) as (endpoint, secret, gate):
            return _supervised(holdfast, what, (endpoint, secret, gate), program, arguments, directory)


def _supervised(
    holdfast: Holdfast,
    what: Choice,
    way: tuple[Endpoint, Secret | None, Gate | None],
    program: str,
    arguments: tuple[str, ...],
    directory: Path,
) -> int:
    from ..harness import apply, process

    endpoint, secret, gate = way
    plan, environ = _planned(holdfast, what, endpoint, secret, program, arguments, directory)
    began = holdfast.engine.store.now()
    _say(
        f"{what.harness.title} on {what.connection}, session {what.session}"
        + (", without a gateway" if gate is None else "")
    )
    try:
        code = process.run([program, *plan.argv[1:]], environ)
    finally:
        rewritten = apply.withdraw(plan, directory)
    if rewritten:
        _say(f"{what.harness.title} rewrote {', '.join(rewritten)} while it ran; that was undone")
    if code < 0:
        _say(f"{what.harness.title} was ended by signal {-code}")
        code = 128 - code
    if gate is None:
        _say(
            "it spoke to the provider itself: what it used can be seen there only"
            + (f", or by {plan.proof}" if plan.proof else "")
        )
        return code
    return _proven(holdfast, what, began, gate, code)


@contextmanager
def _way(
    holdfast: Holdfast, what: Choice, *, direct: bool
) -> Iterator[tuple[Endpoint, Secret | None, Gate | None]]:
    """Where the program is pointed to, and what it shows there."""
    from ..gateway.embedded import serving

    if direct:
        yield what.connection.endpoint, what.secret, None
        return
    with serving(holdfast.engine, what.session, what.pin) as gate:
        yield gate.endpoint(what.connection.dialect), gate.token, gate


def _planned(
    holdfast: Holdfast,
    what: Choice,
    endpoint: Endpoint,
    secret: Secret | None,
    program: str,
    arguments: tuple[str, ...],
    directory: Path,
) -> tuple[Handover, dict[str, str]]:
    """The plan with its files written, and the child's environment."""
    from .._files import write_private
    from ..harness import apply, process
    from ..harness.base import LaunchRequest, Target
    from .run_choice import foreign, secrets_of, variables

    names = variables()
    strangers = foreign(holdfast.config, names.values())
    way = Target(what.pin, endpoint, direct=endpoint is what.connection.endpoint)
    secrets = [*secrets_of(holdfast.engine.vault, holdfast.config), *([secret] if secret is not None else [])]
    asked = apply.environment(
        what.harness.hand_over(LaunchRequest(way, str(directory), (), arguments, names)),
        os.environ,
        None,
        secrets,
        strangers,
    )
    version = process.version(program, asked, directory)
    plan = what.harness.hand_over(LaunchRequest(way, str(directory), version, arguments, names))
    apply.refuse_project(plan, Path.cwd())
    apply.lay_out(plan, directory, write_private)
    return plan, apply.environment(plan, os.environ, secret, secrets, strangers)


def _proven(holdfast: Holdfast, what: Choice, began: float, gate: Gate, code: int) -> int:
    """Tell what answered. Raises ModelDropped."""
    from .run_report import account, insist

    engine = holdfast.engine
    engine.journal_writer.flush()
    events = [one for one in engine.store.journal(session=what.session, limit=_ALL_EVENTS) if one.at >= began]
    fallback_chain = holdfast.config.fallbacks.get(what.pin)
    found = account(events, what.pin, fallback_chain.then if fallback_chain is not None else (), gate.refused)
    _say(str(found))
    insist(found, what.pin, what.session)
    return code


def _say(line: str) -> None:
    """On stderr: stdout is the program's."""
    click.echo(f"holdfast: {plain(line)}", err=True)
