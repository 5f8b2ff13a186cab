"""`holdfast why`: where each part of a connection came from, then what happened, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .output import clock, json_option, say, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.session import Session
    from ..engine.provenance import Why
    from ..store.base import Store
    from ..store.journal_events import Detail, Event

_MOST_LOOKED_BACK = 1000
"""Lines of its session's journal that are read to find the choice that was valid for a request."""


@click.command()
@click.argument("subject", metavar="SESSION|REQUEST-ID", shell_complete=complete.sessions)
@click.option(
    "--limit", default=200, show_default=True, type=click.IntRange(1), help="Lines of the journal to show."
)
@json_option
@click.pass_obj
def command(context: CliContext, subject: str, limit: int, as_json: bool) -> None:
    """Explain a session or a request.

    Shows where each part of its connection came from and what last changed it, then what happened, in order.

    \b
    Example:
      holdfast why issue-42
    """
    explanation = explain(context, subject, limit)
    if as_json:
        show_json(explanation.values())
    else:
        say(explanation.text(clock))


def _session(store: Store, subject: str, events: Sequence[Event[Detail]]) -> Session | None:
    """Return a session, None where there is none. Raises StoreError where it cannot be read, and there is
    nothing else to show about it."""
    from ..core.errors import StoreError

    try:
        return store.session(subject)
    except StoreError:
        if not events:
            raise
        return None


def explain(context: CliContext, subject: str, limit: int) -> Why:
    """Explain a session or a request by configuration and journal, of which `limit` lines are shown. Raises
    ConnectionLost when the subject is neither."""
    from ..core.errors import ConnectionLost
    from ..engine.origins import request_origin, session_origin
    from ..engine.provenance import Why

    store, config = context.existing_store, context.config
    events = store.journal(session=subject, limit=limit)
    session = _session(store, subject, events)
    if session is not None:
        origin = session_origin(config, session, events, store.now(), clock=clock)
        usage = store.usage(["pin"], session=subject)
        return Why(subject, origin, tuple(events), tuple(usage))
    requested: list[Event[Detail]] = []
    if not events:
        requested = store.journal(request=subject, limit=limit)
    if not events and not requested:
        raise ConnectionLost(
            f"neither a session nor a request is called '{subject}'", next_step="holdfast session list"
        )
    before: list[Event[Detail]] = []
    if requested and requested[-1].session:
        before = store.journal(session=requested[-1].session, limit=_MOST_LOOKED_BACK)
    origin = request_origin(config, subject, requested, before)
    return Why(subject, origin, tuple(events or requested))
