"""The program that talks to a model: the real `openai` client where it is installed, else plain HTTP over our
transport.

Neither knows a URL or a key: both are given a session's transport and a base URL that no
server has.
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
class Reply:
    """The reply that the program got: the text of the model or of an error; `labels` are the response's
    headers, `seconds` is the duration."""

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

    def ask(self, session: Session, model: str | None = None) -> Reply:
        """Ask a question in `session`; `model` is the model in the body, by default the session's."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class OpenAISpeaker:
    """The `openai` client, as a program would use it."""

    def __init__(self) -> None:
        import openai

        self._sdk: Any = openai
        self.name = f"the openai client {openai.__version__}"
        self._clients: dict[Session, Any] = {}

    def ask(self, session: Session, model: str | None = None) -> Reply:
        client = self._clients.get(session)
        if client is None:
            client = self._clients[session] = self._sdk.OpenAI(**session.for_openai())
        began = time.monotonic()
        try:
            raw = client.chat.completions.with_raw_response.create(
                model=model or session.model, messages=_PROMPT, timeout=_PATIENCE
            )
        except self._sdk.APIStatusError as error:
            text = _words(error.response.text)
            return Reply(
                error.status_code, text, "", error.response.headers, seconds=time.monotonic() - began
            )
        answer = raw.parse()
        text = answer.choices[0].message.content
        return Reply(200, text, answer.model, raw.headers, seconds=time.monotonic() - began)

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

    def ask(self, session: Session, model: str | None = None) -> Reply:
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
            return Reply(response.status_code, _words(response.text), "", response.headers, seconds=seconds)
        answer = response.json()
        text = answer["choices"][0]["message"]["content"]
        return Reply(200, text, answer["model"], response.headers, seconds=seconds)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


def speaker(name: str | None = None) -> Speaker:
    """Return the program called `openai` or `httpx2`; without a name, the first of them that is installed."""
    if name is None:
        name = "openai" if find_spec("openai") is not None else "httpx2"
    if name == "openai":
        return OpenAISpeaker()
    return PlainSpeaker()


def _words(body: str) -> str:
    """Return the message of an error body of any form; else the body."""
    try:
        payload = json.loads(body)
    except ValueError:
        return body.strip()
    error = payload
    if isinstance(payload, dict):
        error = payload.get("error") or payload
    if isinstance(error, dict):
        error = error.get("message", error)
    return str(error)
