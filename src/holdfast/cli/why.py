"""`holdfast why`: for each part of a connection where it came from, then what happened, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .output import clock, json_option, say, show_json

if TYPE_CHECKING:
    from ..engine.provenance import Why

_LOOKED_BACK = 1000
"""How many lines of its session's journal say which choice held when a request was made."""


@click.command()
@click.argument("subject", metavar="SESSION|REQUEST-ID", shell_complete=complete.sessions)
@click.option(
    "--limit", default=200, show_default=True, type=click.IntRange(1), help="How many lines of the journal."
)
@json_option
@click.pass_obj
def command(context: CliContext, subject: str, limit: int, as_json: bool) -> None:
    """Explain a session or a request.

    Where each part of its connection came from and what last changed it, then what happened, in order.

    \b
    Example:
      holdfast why issue-42
    """
    told = explained(context, subject, limit)
    if as_json:
        show_json(told.values())
    else:
        say(told.text(clock))


def explained(context: CliContext, subject: str, limit: int) -> Why:
    """Raises ConnectionLost when the subject is neither a session nor a request."""
    from ..core.errors import ConnectionLost
    from ..engine.provenance import Why, request_origin, session_origin

    memory = context.memory
    session = (
        next((one for one in memory.sessions() if one.id == subject), None) if memory is not None else None
    )
    events = memory.journal(session=subject, limit=limit) if memory is not None else []
    requested = (
        memory.journal(request=subject, limit=limit)
        if memory is not None and session is None and not events
        else []
    )
    if memory is None or (session is None and not events and not requested):
        raise ConnectionLost(
            f"neither a session nor a request is called '{subject}'", next_step="holdfast session list"
        )
    if session is not None:
        return Why(
            subject, session_origin(context.config, session, events, memory.now(), clock), tuple(events)
        )
    before = (
        memory.journal(session=requested[-1].session, limit=_LOOKED_BACK)
        if requested and requested[-1].session
        else []
    )
    return Why(
        subject, request_origin(context.config, subject, requested, before), tuple(events or requested)
    )
