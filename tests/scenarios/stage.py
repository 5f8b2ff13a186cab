"""The stage of the scenarios: one user's home, and a face through which their turns go: the library or the
gateway.

    @scenario("T9", HERMES(45715), elsewhere="what other programs do", here="what happens here")
    def test_…(stage: Stage) -> None:                              # run once through each face
        stage.own("a", "b")                                        # keys in the environment
        plan = stage.provider(refuse_first)                        # a provider on a real socket
        stage.write(entry("plan", plan, "a", "b"))                 # holdfast.toml
        stage.choose("work", "plan/m1")                            # what `holdfast session pin` does
        assert stage.ask("work").text == TEXT                      # one turn of a real SDK
        stage.restart()                                            # nothing but the files is kept

The scenarios see what a user sees: what the SDK gave them, and what arrived at the providers. The table in
docs/reference/scenarios.md is made of the decorators, so that it cannot say what no test tells."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import anthropic
import openai
import pytest

from gateway.conftest import QUICK, TOKEN, Running
from holdfast.core.errors import HoldfastError
from holdfast.core.identity import Dialect
from holdfast.engine.state import Engine
from holdfast.fake_provider import Behaviour, ScriptedProvider, status
from holdfast.sdk import api
from holdfast.sdk.api import Holdfast
from stories.story import QUESTION, TEXT, House, bad_key, entry, keys_seen, value_of

__all__ = [
    "CHAT",
    "MESSAGES",
    "TEXT",
    "Stage",
    "bad_key",
    "broke",
    "entry",
    "hermes",
    "keys_seen",
    "refused",
    "scenario",
    "status",
    "throttled",
    "value_of",
]

CHAT, MESSAGES = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES
Test = TypeVar("Test", bound=Callable[..., None])


class Face(StrEnum):
    """Through what a user meets us."""

    LIBRARY = "library"
    GATEWAY = "gateway"
    COMMAND_LINE = "command line"


BOTH = (Face.LIBRARY, Face.GATEWAY)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of docs/reference/scenarios.md. `ids` are T1 to T32 (reports about Hermes), M… (measured there)
    and W1 to W30 (what users of such programs ask for); `issues` are owner/name#number."""

    ids: tuple[str, ...]
    issues: tuple[str, ...]
    elsewhere: str
    here: str
    faces: tuple[Face, ...]


def scenario(
    ids: str, *issues: str, elsewhere: str, here: str, only: Face | None = None
) -> Callable[[Test], Test]:
    """Mark a test as the scenario of what was reported. With `only`, the surface is one that no other face
    has."""
    row = Scenario(tuple(ids.split()), issues, elsewhere, here, (only,) if only is not None else BOTH)

    def mark(test: Test) -> Test:
        test.scenario = row  # type: ignore[attr-defined]
        marked: Test = pytest.mark.parametrize("stage", row.faces, indirect=True)(test)
        return marked

    return mark


def hermes(*numbers: int) -> tuple[str, ...]:
    """Issues of hermes-agent."""
    return tuple(f"NousResearch/hermes-agent#{number}" for number in numbers)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn gave to the SDK's user: a text, or an error with its status and message. `headers` are
    those of the answer."""

    text: str = ""
    status: int = 200
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""

    @property
    def refused(self) -> bool:
        return not self.text

    @property
    def fault(self) -> str:
        return self.headers.get("holdfast-fault", "")


class Stage(House):
    """A house whose turns go through one face. Face and clients are opened by the first turn and live until
    `restart`."""

    def __init__(self, face: Face, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(path, monkeypatch)
        self.way = face
        self._open = ExitStack()
        self._held: Holdfast | None = None
        self._running: Running | None = None
        self._clients: dict[tuple[str, bool], Any] = {}

    def set(self, name: str, value: str | None) -> None:
        """Set or unset a variable of the environment."""
        self._patch.delenv(name, raising=False) if value is None else self._patch.setenv(name, value)

    def refused_by(self) -> str:
        """A URL on which no server listens."""
        gone = ScriptedProvider()
        gone.close()
        return gone.url

    def open(self) -> AbstractContextManager[Holdfast]:
        """A Holdfast of its own, beside the face that runs."""
        return api.open(self.path)

    # The user's own doing: through a Holdfast of its own, as the command line's is, beside the face that
    # runs.

    def choose(self, session: str, pin: str, key: str | None = None) -> None:
        """Begin a session, or choose anew in one. Raises HoldfastError where the choice is refused."""
        with self.open() as user:
            if user.engine.session(session) is None:
                user.session(session, pin, key=key)
            else:
                user.session(session).switch(pin, key=key)

    def choose_again(self, session: str, pin: str) -> None:
        """Choose anew for a session whose choice no longer resolves: `holdfast session pin`."""
        done = self.command("session", "pin", session, pin)
        assert done.returncode == 0, done.stderr

    def pin(self, session: str) -> str:
        """What is stored of a session's choice."""
        with self.open() as user:
            (row,) = [stored for stored in user.sessions() if stored.id == session]
            return str(row.pin)

    def why(self, session: str) -> str:
        """What `holdfast why` prints for a session."""
        self.engine.journal_writer.flush()
        with self.open() as user:
            return user.session(session).why()

    def edit(self, *tables: str) -> None:
        """Write another holdfast.toml under the running face, and let it notice."""
        self.write(*tables)
        self.engine.look_again()

    # The program's turns.

    @property
    def engine(self) -> Engine:
        return (
            self._running.holdfast.engine
            if self.way is Face.GATEWAY and self._gateway() and self._running
            else self._library().engine
        )

    def _library(self) -> Holdfast:
        if self._held is None:
            self._held = self._open.enter_context(self.open())
        return self._held

    def _gateway(self) -> Running:
        if self._running is None:
            self._running = Running(self.path, QUICK, None, "asyncio")
            self._open.callback(self._running.close)
        return self._running

    def client(self, session: str, dialect: Dialect = CHAT) -> Any:
        """The SDK's client of this session, made as the README says. Raises HoldfastError where the library
        refuses the session."""
        is_anthropic = dialect is MESSAGES
        made = self._clients.get((session, is_anthropic))
        if made is None:
            made = self._clients[session, is_anthropic] = self._open.enter_context(
                self._made(session, is_anthropic)
            )
        return made

    def _made(self, session: str, is_anthropic: bool) -> Any:
        if self.way is Face.LIBRARY:
            mine = self._library().session(session)
            return (
                anthropic.Anthropic(**mine.for_anthropic())
                if is_anthropic
                else openai.OpenAI(**mine.for_openai())
            )
        url, direct = f"{self._gateway().root}/s/{session}", {"verify": False, "trust_env": False}
        if is_anthropic:
            return anthropic.Anthropic(
                base_url=url, api_key=TOKEN, http_client=anthropic.DefaultHttpxClient(**direct)
            )
        return openai.OpenAI(
            base_url=f"{url}/v1", api_key=TOKEN, http_client=openai.DefaultHttpxClient(**direct)
        )

    def ask(
        self, session: str, model: str = "m1", dialect: Dialect = CHAT, *, stream: bool = False
    ) -> Answer:
        """One turn."""
        try:
            client = self.client(session, dialect)
            raw = _RAW[dialect](client, model, stream)
            return Answer(
                _text(raw.parse()), headers={name.lower(): value for name, value in raw.headers.items()}
            )
        except (openai.APIStatusError, anthropic.APIStatusError) as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            explanation = (
                self._library().session(session).explain()
                if self.way is Face.LIBRARY and "holdfast-fault" in headers
                else ""
            )
            return Answer(
                "",
                error.status_code,
                f"{error}\n{explanation}",
                headers,
                str(getattr(error, "code", "") or ""),
            )
        except (openai.APIError, anthropic.APIError) as error:
            return Answer("", 0, str(error))
        except HoldfastError as error:
            return Answer("", 409, str(error))

    def ask_many(self, session: str, count: int, **more: Any) -> list[Answer]:
        """So many turns at the same time."""
        self.client(session)
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.ask(session, **more), range(count)))

    def restart(self) -> None:
        """The program, or the gateway, ends and is started again."""
        self._clients.clear()
        self._open.close()
        self._held = self._running = None

    def leave(self) -> None:
        self.restart()
        super().leave()


def _text(answer: Any) -> str:
    """What an answer says; a stream is read to its end."""
    if hasattr(answer, "choices"):
        return str(answer.choices[0].message.content)
    if hasattr(answer, "content"):
        return str(answer.content[0].text)
    pieces = [
        event.choices[0].delta.content
        if hasattr(event, "choices")
        else getattr(getattr(event, "delta", None), "text", None)
        for event in answer
    ]
    return "".join(filter(None, pieces))


_RAW: dict[Dialect, Callable[[Any, str, bool], Any]] = {
    CHAT: lambda client, model, stream: client.chat.completions.with_raw_response.create(
        model=model, messages=QUESTION, stream=stream
    ),
    MESSAGES: lambda client, model, stream: client.messages.with_raw_response.create(
        model=model, max_tokens=9, messages=QUESTION, stream=stream
    ),
}


# What providers say.


def refused(message: str = "Incorrect API key provided") -> Behaviour:
    """A key is not accepted."""
    body = bad_key()
    body["error"]["message"] = message
    return status(401, body)


def throttled(after: str = "30") -> Behaviour:
    """Too many requests."""
    return status(
        429, {"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}, {"retry-after": after}
    )


def broke() -> Behaviour:
    """No balance left."""
    return status(
        402,
        {
            "error": {
                "message": "Insufficient balance",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }
        },
    )
