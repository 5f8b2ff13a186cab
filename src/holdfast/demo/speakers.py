"""The program that talks to a model: the real `openai` client where it is installed, else plain HTTP over our
transport.

Neither knows a URL or a key: both are given a session's transport and a base URL that leads nowhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from ..sdk.api import NOWHERE, Session

_PROMPT = [{"role": "user", "content": "Are you still there?"}]
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Said:
    """What the program got: words of the model, or of a refusal; `labels` are the response's headers."""

    status: int
    text: str
    model: str
    labels: Mapping[str, str]
    seconds: float

    @property
    def ok(self) -> bool:
        return self.status == 200


class Speaker(Protocol):
    """A program. Thread-safe."""

    name: str

    def ask(self, session: Session, model: str | None = None) -> Said:
        """Ask a question in `session`; `model` is what the program names in the body, by default the
        session's."""
        ...

    def close(self) -> None:
        """Give back the connections."""
        ...


class OpenAISpeaker:
    """The `openai` client, as a program would use it."""

    def __init__(self) -> None:
        import openai

        self._sdk: Any = openai
        self.name = f"the openai client {openai.__version__}"
        self._clients: dict[Session, Any] = {}

    def ask(self, session: Session, model: str | None = None) -> Said:
        client = self._clients.get(session)
        if client is None:
            client = self._clients[session] = self._sdk.OpenAI(**session.for_openai())
        began = time.monotonic()
        try:
            raw = client.chat.completions.with_raw_response.create(
                model=model or session.model, messages=_PROMPT, timeout=_PATIENCE
            )
        except self._sdk.APIStatusError as error:
            return Said(
                error.status_code,
                _words(error.response.text),
                "",
                error.response.headers,
                time.monotonic() - began,
            )
        answer = raw.parse()
        return Said(
            200, answer.choices[0].message.content, answer.model, raw.headers, time.monotonic() - began
        )

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


class PlainSpeaker:
    """An `httpx2` client over our transport."""

    def __init__(self) -> None:
        import httpx2

        self._http = httpx2
        self.name = f"an httpx2 client {httpx2.__version__}"
        self._clients: dict[Session, Any] = {}

    def ask(self, session: Session, model: str | None = None) -> Said:
        client = self._clients.get(session)
        if client is None:
            client = self._clients[session] = self._http.Client(
                transport=session.transport(), base_url=f"{NOWHERE}/v1", timeout=_PATIENCE
            )
        began = time.monotonic()
        response = client.post(
            "/chat/completions", json={"model": model or session.model, "messages": _PROMPT}
        )
        seconds = time.monotonic() - began
        if response.status_code != 200:
            return Said(response.status_code, _words(response.text), "", response.headers, seconds)
        answer = response.json()
        return Said(
            200, answer["choices"][0]["message"]["content"], answer["model"], response.headers, seconds
        )

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


def speaker(name: str | None = None) -> Speaker:
    """The program called `openai` or `httpx2`; without a name, the first of them that is installed."""
    if name is None:
        name = "openai" if find_spec("openai") is not None else "httpx2"
    return OpenAISpeaker() if name == "openai" else PlainSpeaker()


def _words(body: str) -> str:
    """The message of an error body, whoever wrote it; else the body."""
    try:
        told = json.loads(body)
    except ValueError:
        return body.strip()
    error = told.get("error") if isinstance(told, dict) else None
    return str(error.get("message", error)) if isinstance(error, dict) else str(error or told)
