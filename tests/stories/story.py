"""The stage of the stories: a home with keys, providers on real sockets, the SDKs as users call them, and
other processes.

Whatever a story is about, when it ends the house looks at every request that any of its providers saw: only
keys that the story's user owns may have arrived, and no SDK may have repeated a request by itself."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from children import Popen, run
from holdfast.core.identity import Dialect
from holdfast.fake_provider import Behaviour, Script, ScriptedProvider, SeenRequest
from holdfast.sdk.api import Holdfast, Session
from holdfast.store.journal_events import Attempted, Event, of_type
from stories.faces import Face, through

FAST = (0.05, 0.1, 0.2)
"""Seconds before each probe of a known-good key; the default is 0.5, 1 and 2."""
QUESTION: list[Any] = [{"role": "user", "content": "Where were we?"}]
TEXT = "All quiet on the scripted side."


def value_of(label: str) -> str:
    """The key that the variable KEY_<LABEL> holds."""
    return f"sk-story-{label}-{label * 24}"


def bad_key() -> dict[str, Any]:
    """How a provider words a 401."""
    return {
        "error": {
            "message": "Incorrect API key provided",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }


def entry(
    name: str, at: ScriptedProvider | str, *labels: str, models: Sequence[str] = ("m1",), more: str = ""
) -> str:
    """A provider's table, with one endpoint in each dialect; its keys are the variables KEY_A, KEY_B, …"""
    url = at if isinstance(at, str) else at.url
    keys = ", ".join(f'{{ from = "env:KEY_{label.upper()}", label = "{label}" }}' for label in labels)
    endpoints = (
        f'openai-chat = "{url}", openai-responses = "{url}", anthropic-messages = "{url.removesuffix("/v1")}"'
    )
    return (
        f"[provider.{name}]\nendpoints = {{ {endpoints} }}\nmodels = {list(models)!r}\nkeys = [{keys}]\n"
        f"{more}\n"
    )


class House:
    """One user's home, the keys in their environment, and the providers they have accounts with."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, face: Face = Face.LIBRARY) -> None:
        self.path, self._patch, self.face = path, monkeypatch, face
        self.keys: set[str] = set()
        self.providers: list[ScriptedProvider] = []

    def own(self, *labels: str) -> None:
        """Put these keys into the environment."""
        for label in labels:
            self._patch.setenv(f"KEY_{label.upper()}", value_of(label))
            self.keys.add(value_of(label))

    def provider(
        self,
        script: Script | Sequence[Behaviour | Script] | Behaviour = (),
        models: Sequence[str] | None = ("m1",),
    ) -> ScriptedProvider:
        """A provider that follows this script; without one it answers well. With `models` None the script
        answers for its list too."""
        self.providers.append(ScriptedProvider(script, models=models))
        return self.providers[-1]

    def write(self, *tables: str, probe: Sequence[float] = FAST) -> None:
        """Write holdfast.toml."""
        (self.path / "holdfast.toml").write_text(
            "\n".join([f"[settings]\nprobe_delays = {list(probe)}\n", *tables])
        )

    @contextmanager
    def open(self) -> Iterator[Holdfast]:
        """Holdfast as a program opens it, or a gateway to which one is pointed. Opening it anew is a restart:
        nothing but the files is kept."""
        with through(self.face, self.path) as held:
            yield held

    def command(self, *arguments: str) -> Any:
        """Run the command line in a process of its own."""
        return run(
            [sys.executable, "-m", "holdfast", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
        )

    def leave(self) -> None:
        """Close the providers and look at all that arrived there."""
        for provider in self.providers:
            provider.close()
        arrived = [seen for provider in self.providers for seen in provider.requests]
        strangers = {seen.key for seen in arrived} - self.keys - {None}
        assert not strangers, "a provider saw a key that nobody owns"
        assert not [seen for seen in arrived if seen.retry_count], "an SDK repeated a request"


@contextmanager
def openai_client(session: Session, **more: Any) -> Iterator[openai.OpenAI]:
    """The client of a user who follows the README; `more` are options that they set themselves."""
    with openai.OpenAI(**{**session.for_openai(), **more}) as client:
        yield client


def ask(session: Session, model: str | None = None) -> str:
    """One turn through the OpenAI SDK, as text."""
    with openai_client(session) as client:
        return (
            client.chat.completions.create(model=model or session.model, messages=QUESTION)
            .choices[0]
            .message.content
            or ""
        )


def ask_many(session: Session, count: int) -> list[str | openai.APIError]:
    """So many turns at the same time through one async client: the texts, or the errors in their places."""

    async def all_at_once() -> list[Any]:
        async with openai.AsyncOpenAI(**session.for_openai_async()) as client:
            turns = [client.chat.completions.create(model="m1", messages=QUESTION) for _ in range(count)]
            return await asyncio.gather(*turns, return_exceptions=True)

    answers = asyncio.run(all_at_once())
    return [
        answer if isinstance(answer, BaseException) else answer.choices[0].message.content
        for answer in answers
    ]


def refusal(session: Session, model: str | None = None) -> openai.APIStatusError:
    """The error that a turn ends with."""
    with pytest.raises(openai.APIStatusError) as caught:
        ask(session, model)
    return caught.value


def keys_seen(provider: ScriptedProvider) -> list[str | None]:
    """The labels of the keys that came with each request, in order."""
    return [seen.key.split("-")[2] if seen.key else None for seen in provider.calls]


def kinds(session: Session) -> list[str]:
    """What the journal of a session holds, in order."""
    return [event.kind for event in session.attempts()]


def attempts(session: Session) -> list[Event[Attempted]]:
    """The attempts in the journal of a session."""
    return of_type(session.attempts(), Attempted)


# The SDKs
# ------------------------------------------------------------------------------------------------------------


class Way(NamedTuple):
    """One way in which a user calls an SDK."""

    dialect: Dialect
    is_async: bool
    streams: bool

    def __str__(self) -> str:
        return (
            f"{self.dialect}-{'async' if self.is_async else 'sync'}-{'stream' if self.streams else 'whole'}"
        )

    @property
    def sdk(self) -> Any:
        return anthropic if self.dialect is Dialect.ANTHROPIC_MESSAGES else openai

    def say(self, session: Session, **more: Any) -> str:
        """One turn; its text. `more` are options of the client. Raises what the SDK raises."""
        return self.with_client(session, lambda client: _TALKS[self.dialect](client, self.streams), **more)

    def with_client(self, session: Session, talk: Callable[[Any], Awaitable[str]], **more: Any) -> str:
        """Let `talk` use a client of this SDK. A sync client runs outside of any event loop."""
        name = "for_anthropic" if self.sdk is anthropic else "for_openai"
        if self.is_async:
            client = (anthropic.AsyncAnthropic if self.sdk is anthropic else openai.AsyncOpenAI)(
                **{**getattr(session, f"{name}_async")(), **more}
            )

            async def going() -> str:
                async with client:
                    return await talk(client)

            return asyncio.run(going())
        client = (anthropic.Anthropic if self.sdk is anthropic else openai.OpenAI)(
            **{**getattr(session, name)(), **more}
        )
        with client:
            return _run_sync(talk(client))


def _run_sync(coroutine: Awaitable[str]) -> str:
    """Run a talk whose every await is of something that is there already."""
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration as end:
        return str(end.value)
    raise AssertionError("a sync client does not wait")


class _There:
    """Lets one text serve sync and async clients: what is there already can be awaited and iterated over
    too."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        if hasattr(self.value, "__await__"):
            return (yield from self.value.__await__())
        return self.value


async def _pieces(stream: Any) -> Any:
    if hasattr(stream, "__aiter__"):
        async for piece in stream:
            yield piece
    else:
        for piece in stream:
            yield piece


async def talk_chat(client: Any, streams: bool, **more: Any) -> str:
    """A turn of chat completions."""
    answer = await _There(
        client.chat.completions.create(model="m1", messages=QUESTION, stream=streams, **more)
    )
    if not streams:
        return str(answer.choices[0].message.content)
    return "".join([piece.choices[0].delta.content or "" async for piece in _pieces(answer)])


async def talk_responses(client: Any, streams: bool, **more: Any) -> str:
    """A turn of responses."""
    answer = await _There(client.responses.create(model="m1", input="Where were we?", stream=streams, **more))
    if not streams:
        return str(answer.output_text)
    return "".join(
        [piece.delta async for piece in _pieces(answer) if piece.type == "response.output_text.delta"]
    )


async def talk_messages(client: Any, streams: bool, **more: Any) -> str:
    """A turn of messages."""
    answer = await _There(
        client.messages.create(model="m1", max_tokens=100, messages=QUESTION, stream=streams, **more)
    )
    if not streams:
        return str(answer.content[0].text)
    return "".join(
        [piece.delta.text async for piece in _pieces(answer) if piece.type == "content_block_delta"]
    )


_TALKS: dict[Dialect, Callable[..., Any]] = {
    Dialect.OPENAI_CHAT: talk_chat,
    Dialect.OPENAI_RESPONSES: talk_responses,
    Dialect.ANTHROPIC_MESSAGES: talk_messages,
}
WAYS = [
    Way(dialect, is_async, streams)
    for dialect in Dialect
    for is_async in (False, True)
    for streams in (False, True)
]
STREAMS = [way for way in WAYS if way.streams]


def models_asked(seen: Sequence[SeenRequest]) -> set[str | None]:
    """The models that requests named."""
    return {request.model for request in seen}


# Other processes
# ----------------------------------------------------------------------------------------------------------

WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """A process of its own that holds a session of the same home; see worker.py."""

    def __init__(self, session: str, job: str, count: int = 1, *pin: str) -> None:
        command = [sys.executable, str(WORKER), session, job, str(count), *pin]
        self.process = Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line or self.process.poll() is None, self.process.communicate()[1]
        return line.strip()

    def go(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, int]:
        """How often which end its turns had."""
        out, errors = self.process.communicate(timeout=50)
        assert self.process.returncode == 0, errors
        counted: dict[str, int] = json.loads(out.splitlines()[-1])
        return counted

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def workers(session: str, job: str, count: int = 1, *pin: str, processes: int = 1) -> Iterator[list[Worker]]:
    """So many processes, all ready; none outlives the story."""
    started = [Worker(session, job, count, *pin) for _ in range(processes)]
    try:
        assert [child.line() for child in started] == ["ready"] * processes
        yield started
    finally:
        for child in started:
            if child.process.poll() is None:
                child.kill()
            for pipe in (child.process.stdin, child.process.stdout, child.process.stderr):
                if pipe is not None:
                    pipe.close()


def together(started: Sequence[Worker]) -> Counter[str]:
    """Let them begin at the same time; how often which end all their turns had."""
    for child in started:
        child.go()
    total: Counter[str] = Counter()
    for child in started:
        total.update(child.result())
    return total
