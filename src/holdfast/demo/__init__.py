"""`holdfast demo`: the five stories, shown live on this machine's own sockets. It needs no key, no network,
and deletes its files at the end.

Holdfast is the real one; only the providers are simulated. A promise counts as held only if the requests that
the providers received prove it."""

from __future__ import annotations

import json as json_text
import sys
import time
from collections.abc import Callable, Sequence

from ..engine.journal import why
from ..sdk.api import Session
from . import cost, handover, provisioning, resume, rotation, transient
from .show import Show, held, on_stdout
from .speakers import Speaker, speaker
from .stage import Stage, hosts, keys

SCENES: tuple[Callable[[Stage], None], ...] = (
    resume.play,
    rotation.play,
    handover.play,
    provisioning.play,
    transient.play,
)


def main(json: bool = False, program: str | None = None, *, coloured: bool = False) -> int:
    """Play all scenes; return 0 when every promise held, else 1. `program` is `openai` or `httpx2`, by
    default the first that is installed."""
    show = Show(None) if json else on_stdout(coloured=coloured)
    play(show, speaker(program), SCENES)
    if json:
        sys.stdout.write(json_text.dumps(show.document(), indent=2, ensure_ascii=False) + "\n")
    return int(not held(show.promises))


def play(show: Show, program: Speaker, scenes: Sequence[Callable[[Stage], None]]) -> None:
    """Play `scenes` on a stage of their own. A scene that cannot be played to its end is a broken promise."""
    show.facts["program"] = program.name
    show.line("Holdfast: a session stays on the provider, endpoint, key and model you chose.", "1")
    show.prose(
        "The providers below are simulated on this machine and fail as real ones did. The program that "
        f"calls them is {program.name}. No key, no network; every promise is checked by the requests that "
        "the providers received."
    )
    with Stage(show, program) as stage:
        for scene in (*scenes, finish):
            try:
                scene(stage)
            except Exception as error:
                show.promise("The scene can be played to its end", False, f"{type(error).__name__}: {error}")
    show.summary()


def finish(stage: Stage) -> None:
    """Show the requests to all providers, the history of the session, and the cost of the core."""
    show = stage.show
    show.scene(
        None,
        "What the providers saw",
        "Every request of this show, at every provider, was compared with the keys that the user gave to "
        "that address.",
    )
    requests = [request for provider in stage.providers for request in provider.requests]
    strays = stage.strays()
    counts = f"{len(requests)} requests, {len(set(keys(requests)))} keys, {len(hosts(requests))} hosts"
    show.promise(
        "No key was sent to a host that it was not given to",
        bool(requests) and not strays,
        f"{counts}, {len(strays)} strays",
    )
    show.heading(f"holdfast why {resume.SESSION}")
    show.facts["why"] = why(
        Session(stage.hf, resume.SESSION).attempts(),
        clock=lambda at: time.strftime("%H:%M:%S", time.localtime(at)),
    )
    show.entries(show.facts["why"], hang=10)
    if stage.hf.engine.session(resume.SESSION) is not None:
        cost.measure(stage)
