"""The faces through which a story runs: the library in the program, or a gateway that the program's SDK is
pointed to.

A story opens its home with `house.open()`. Through a gateway what comes out is the same Holdfast, but the
SDKs are given the gateway's address and token and nothing else of ours: no transport, and their own retries
as their makers set them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from gateway.conftest import QUICK, Running
from gateway.served import Served, eventually, serving
from holdfast.gateway.tokens import issue
from holdfast.sdk import api
from holdfast.sdk.api import Holdfast, Session
from holdfast.store.journal_events import Detail, Event

_SETTLED = 0.4
"""Seconds after which what several processes write beside their requests is in the journal."""


class Face(StrEnum):
    """How a story's programs reach Holdfast."""

    LIBRARY = "library"
    GATEWAY = "gateway"
    """A gateway of one worker."""
    WORKERS = "workers"
    """`holdfast serve --workers 2`, a process of its own."""


library_only = pytest.mark.faces(Face.LIBRARY)
"""For stories of the transports themselves, of programs that share a home, and of what has no request in
it."""
with_two_workers = pytest.mark.faces(*Face)
at_leisure_with_two_workers = pytest.mark.faces(
    *(face for face in Face if face is not Face.WORKERS or os.environ.get("STORIES") == "all")
)
"""Two workers of every story take long to start: `make test-workers` tells these."""


class Door(NamedTuple):
    """Where a gateway is, and the token for it."""

    root: str
    token: str


class Fronted:
    """A home whose sessions are used through a gateway. All that is not the SDKs' way in is the Holdfast
    behind it."""

    def __init__(self, held: Holdfast, door: Door, *, elsewhere: bool) -> None:
        self._held, self._door, self._elsewhere = held, door, elsewhere

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def session(self, *chosen: Any, **more: Any) -> Any:
        return FrontedSession(self._held.session(*chosen, **more), self._door, elsewhere=self._elsewhere)


class FrontedSession:
    """A session as the user of a gateway has it: a path, with which any client can be made."""

    def __init__(self, session: Session, door: Door, *, elsewhere: bool) -> None:
        self._session, self._root, self._token, self._elsewhere = (
            session,
            f"{door.root}/s/{session.id}",
            door.token,
            elsewhere,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def for_openai(self) -> dict[str, Any]:
        return {
            "base_url": f"{self._root}/v1",
            "api_key": self._token,
            "http_client": openai.DefaultHttpxClient(trust_env=False),
        }

    def for_openai_async(self) -> dict[str, Any]:
        return {
            "base_url": f"{self._root}/v1",
            "api_key": self._token,
            "http_client": openai.DefaultAsyncHttpxClient(trust_env=False),
        }

    def for_anthropic(self) -> dict[str, Any]:
        return {
            "base_url": self._root,
            "api_key": self._token,
            "http_client": anthropic.DefaultHttpxClient(trust_env=False),
        }

    def for_anthropic_async(self) -> dict[str, Any]:
        return {
            "base_url": self._root,
            "api_key": self._token,
            "http_client": anthropic.DefaultAsyncHttpxClient(trust_env=False),
        }

    def transport(self) -> Any:
        raise AssertionError("a gateway is reached by its address: this story is the library's alone")

    async_transport = transport

    def attempts(self, **more: Any) -> list[Event[Detail]]:
        if self._elsewhere:
            time.sleep(_SETTLED)
        return self._session.attempts(**more)

    def why(self) -> str:
        self.attempts()
        return self._session.why()


@contextmanager
def through(face: Face, home: Path) -> Iterator[Any]:
    """The home, opened as this face opens it."""
    if face is Face.LIBRARY:
        with api.open(home) as held:
            yield held
    elif face is Face.GATEWAY:
        running = Running(home, QUICK, None, "uvloop")
        try:
            yield Fronted(running.holdfast, Door(running.root, running.token), elsewhere=False)
        finally:
            running.close()
    else:
        with api.open(home) as held:
            _, token = issue(held.engine.store, "story")
            with serving(home, "--workers", "2", token=token) as served:
                both_are_there(served)
                yield Fronted(held, Door(f"http://127.0.0.1:{served.port}", token), elsewhere=True)


def both_are_there(served: Served) -> None:
    """Wait until both workers take requests."""
    eventually(lambda: sum(worker["ready"] for worker in served.workers()) == 2, 20)
